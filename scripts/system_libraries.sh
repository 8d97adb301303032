#!/bin/sh
# gmsh's wheel leans on a few graphics libraries of the system. Where they are missing, install them if this is Debian
# and we may (root), and say so; if gmsh still does not load, fail with what is missing, rather than in a test later.
python=$1
"$python" -c 'import gmsh' 2>/dev/null && exit 0
packages="libglu1-mesa libxcursor1 libxft2 libxinerama1 libxrender1"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "gmsh does not load yet; installing system packages with apt-get: $packages" >&2
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
reason=$("$python" -c 'import gmsh' 2>&1) && exit 0
echo "$reason" | tail -n 1 >&2
echo "gmsh does not load, so meshes of gmsh can be neither made nor read. Install these as root, then make env again:" >&2
echo "    apt-get install $packages" >&2
exit 1
