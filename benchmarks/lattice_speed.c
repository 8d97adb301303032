/* The hot loop of pnp_exclusion/lattice/kernel.py in plain C: same algorithm, same generator, same
 * counting. Usage: lattice_speed LENGTH SAMPLES SWEEPS_PER_SAMPLE; prints attempts per second. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TYPES = 3, SPECIES = TYPES - 1 };

typedef struct {
    uint32_t left, right, field_class, reservoir;
} bond_t;

static const double fractions[2][TYPES] = {{0.3, 0.2, 0.5}, {0.3, 0.6, 0.1}};
static const double fields[TYPES] = {0.0, 3.0, -3.0};

static inline uint64_t rotate(uint64_t word, int by) { return (word << by) | (word >> (64 - by)); }

static inline uint64_t next_word(uint64_t s[4])
{
    const uint64_t word = rotate(s[0] + s[3], 23) + s[0], shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return word;
}

static uint64_t fixed_point(double probability)
{
    return probability >= 1 ? UINT64_MAX : (uint64_t)(probability * 0x1p64);
}

static void attempt(uint8_t *restrict state, uint64_t generator[4], int64_t attempts,
                    const bond_t *restrict bonds, uint64_t count,
                    const uint64_t thresholds[][TYPES][TYPES],
                    const uint64_t reservoirs[2][SPECIES], int64_t (*restrict crossings)[TYPES])
{
    uint64_t s[4] = {generator[0], generator[1], generator[2], generator[3]};
    for (int64_t i = 0; i < attempts; i++) {
        const unsigned __int128 product = (unsigned __int128)next_word(s) * count;
        const uint64_t bond = (uint64_t)(product >> 64), fraction = (uint64_t)product;
        const uint32_t left = bonds[bond].left, right = bonds[bond].right;
        const uint32_t reservoir = bonds[bond].reservoir;
        if (reservoir) {
            const uint64_t word = next_word(s);
            uint8_t drawn = 0;
            for (int step = 0; step < SPECIES; step++)
                drawn += word >= reservoirs[reservoir - 1][step];
            state[reservoir == 1 ? left : right] = drawn;
        }
        const uint8_t a = state[left], b = state[right];
        const int64_t accepted = fraction < thresholds[bonds[bond].field_class][a][b];
        /* Masked, because gcc makes a branch of a choice, which costs it more than half its speed. */
        const uint8_t change = (a ^ b) & -(uint8_t)accepted;
        state[left] = a ^ change;
        state[right] = b ^ change;
        crossings[bond][a] += accepted;
        crossings[bond][b] -= accepted;
    }
    for (int i = 0; i < 4; i++)
        generator[i] = s[i];
}

static void count_sample(const uint8_t *restrict state, int length, int64_t *restrict occupation,
                         int64_t (*restrict pairs)[TYPES][TYPES])
{
    for (int species = 1; species <= SPECIES; species++)
        for (int site = 0; site < length; site++)
            occupation[(species - 1) * length + site] += state[site] == species;
    for (int bond = 1; bond < length; bond++)
        pairs[bond][state[bond - 1]][state[bond]]++;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: %s LENGTH SAMPLES SWEEPS_PER_SAMPLE\n", argv[0]), 2;
    const int length = atoi(argv[1]);
    const int64_t samples = atoll(argv[2]), per_sample = atoll(argv[3]) * (length + 1);
    uint64_t generator[4] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 1};
    uint64_t thresholds[1][TYPES][TYPES], reservoirs[2][SPECIES];
    double rates[TYPES][TYPES], largest = 0;
    for (int a = 0; a < TYPES; a++)
        for (int b = 0; b < TYPES; b++) {
            rates[a][b] = a == b ? 0 : 1 + (fields[a] - fields[b]) / (2 * (length + 1));
            largest = rates[a][b] > largest ? rates[a][b] : largest;
        }
    for (int a = 0; a < TYPES; a++)
        for (int b = 0; b < TYPES; b++)
            thresholds[0][a][b] = fixed_point(rates[a][b] / largest);
    for (int side = 0; side < 2; side++) {
        double cumulative = 0;
        for (int step = 0; step < SPECIES; step++)
            reservoirs[side][step] = fixed_point(cumulative += fractions[side][step]);
    }
    bond_t *bonds = malloc(sizeof *bonds * (length + 1));
    for (int bond = 0; bond <= length; bond++)
        bonds[bond] = (bond_t){bond - 1, bond, 0, 0};
    bonds[0] = (bond_t){length, 0, 0, 1};
    bonds[length] = (bond_t){length - 1, length + 1, 0, 2};
    uint8_t *state = malloc(length + 2);
    for (int site = 0; site < length + 2; site++)
        state[site] = site % TYPES;
    int64_t(*crossings)[TYPES] = calloc(length + 1, sizeof *crossings);
    int64_t *occupation = calloc((size_t)SPECIES * length, sizeof *occupation);
    int64_t(*pairs)[TYPES][TYPES] = calloc(length + 1, sizeof *pairs);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (int64_t sample = 0; sample < samples; sample++) {
        attempt(state, generator, per_sample, bonds, length + 1, thresholds, reservoirs, crossings);
        count_sample(state, length, occupation, pairs);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    const double seconds = ended.tv_sec - begun.tv_sec + 1e-9 * (ended.tv_nsec - begun.tv_nsec);
    int64_t sum = 0;
    for (int site = 0; site < length; site++)
        sum += occupation[site] + crossings[site][1];
    /* The sum keeps the compiler from leaving out work whose result nobody reads. */
    fprintf(stderr, "%lld\n", (long long)sum);
    printf("%.6e\n", (double)samples * per_sample / seconds);
    return 0;
}
