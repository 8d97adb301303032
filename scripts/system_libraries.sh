#!/bin/sh
# gmsh's wheel leans on a few graphics libraries of the system. Where they are missing, install them if this is Debian
# and we may; otherwise say what is missing. Everything but gmsh meshes works without them.
python=$1
"$python" -c 'import gmsh' 2>/dev/null && exit 0
packages="libglu1-mesa libxcursor1 libxft2 libxinerama1 libxrender1"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    "$python" -c 'import gmsh' && exit 0
fi
echo "gmsh does not load: meshes of gmsh cannot be made or read until these are installed: $packages" >&2
