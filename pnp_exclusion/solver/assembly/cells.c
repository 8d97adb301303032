/* Element vectors and matrices of LANES cells at a time, and their addition to global ones.

   The body of `tabulate` is what FFCx wrote for one cell, with every number that differs between cells turned into a
   vector over LANES cells (see vectorise.py). Sizes come as macros:

   POINTS      coordinate nodes of a cell
   NODES       nodes of a cell in the space of the unknowns
   BLOCK       unknowns at a node
   RANK        1: element vectors, 2: element matrices
   WIDTH       coefficient values of a cell (0 if there are none)
   petsc_int   PETSc's integer */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define SIZE (NODES * BLOCK)
#define ENTRIES (RANK == 1 ? SIZE : SIZE * SIZE)

typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t mask __attribute__((vector_size(8 * LANES)));

/* ---- functions of lanes; numbers that are the same in all cells stay numbers ---- */

#define UNARY(f) \
    static inline lanes lanes_##f(lanes x) { for (int l = 0; l < LANES; ++l) x[l] = f(x[l]); return x; }
#define BINARY(f) \
    static inline lanes lanes_##f(lanes x, lanes y) { for (int l = 0; l < LANES; ++l) x[l] = f(x[l], y[l]); return x; }
UNARY(exp) UNARY(log) UNARY(sqrt) UNARY(fabs) UNARY(sin) UNARY(cos) UNARY(tan) UNARY(sinh) UNARY(cosh) UNARY(tanh)
BINARY(fmax) BINARY(fmin) BINARY(pow)

#define SPREAD(x) ((x) + (lanes){0})
#define CALL(f, x) _Generic((x), lanes: lanes_##f, default: f)(x)
#define CALL2(f, x, y) lanes_##f(SPREAD(x), SPREAD(y))
/* comparing lanes gives 0 or -1 in each, comparing numbers gives 0 or 1 */
#define MASK(m) _Generic((m), mask: (m), default: (mask){0} - (m))
#define CHOOSE(m, x, y) ((lanes)((MASK(m) & (mask)SPREAD(x)) | (~MASK(m) & (mask)SPREAD(y))))

static inline void tabulate(lanes* restrict A, const lanes* restrict w, const double* restrict c,
                            const lanes* restrict coordinate_dofs)
{
TABULATE
}

/* Tabulate the cells from `first` on; past the last one, the last one again. */
static void tabulate_batch(int first, int count, const int32_t* corners, const double* x, const double* coefficients,
                           const double* constants, lanes* element)
{
    lanes points[3 * POINTS], w[WIDTH + 1];
    for (int l = 0; l < LANES; ++l)
    {
        const int64_t cell = first + l < count ? first + l : count - 1;
        for (int i = 0; i < POINTS; ++i)
            for (int d = 0; d < 3; ++d)
                points[3 * i + d][l] = x[3 * (int64_t)corners[cell * POINTS + i] + d];
        for (int k = 0; k < WIDTH; ++k)
            w[k][l] = coefficients[cell * WIDTH + k];
    }
    memset(element, 0, ENTRIES * sizeof(lanes));
    tabulate(element, w, constants, points);
}

#if RANK == 1

void add_vector(int count, const int32_t* corners, const double* x, const double* coefficients,
                const double* constants, const int32_t* nodes, double* vector)
{
    static lanes element[SIZE];
    for (int first = 0; first < count; first += LANES)
    {
        tabulate_batch(first, count, corners, x, coefficients, constants, element);
        for (int l = 0; l < LANES && first + l < count; ++l)
        {
            const int32_t* own = nodes + (int64_t)(first + l) * NODES;
            for (int i = 0; i < NODES; ++i)
                for (int p = 0; p < BLOCK; ++p)
                    vector[(int64_t)own[i] * BLOCK + p] += element[i * BLOCK + p][l];
        }
    }
}

#else

/* The blocks that a rank fills, in three parts that hold the values of a block row as BLOCK rows, one after the other. */
enum
{
    OWN,    /* rows and columns of this rank */
    BESIDE, /* rows of this rank, columns of others */
    SENT    /* rows of others */
};

static inline int part_of(int32_t row, int32_t column, int32_t owned)
{
    return row >= owned ? SENT : column >= owned ? BESIDE : OWN;
}

/* The columns of all entries, row by row, of BLOCK rows to every row of blocks. */
void write_entries(int rows, const int64_t* offsets, const int64_t* columns, petsc_int* entries)
{
    for (int row = 0; row < rows; ++row)
        for (int p = 0; p < BLOCK; ++p)
            for (int64_t k = offsets[row]; k < offsets[row + 1]; ++k)
                for (int q = 0; q < BLOCK; ++q)
                    *entries++ = BLOCK * columns[k] + q;
}

/* Where the block (i, j) of every cell is among the blocks of row i in its part. Columns are ascending in each row;
   BESIDE, that of node `owned + g` is `beside[g]`. */
void find_slots(int count, const int32_t* nodes, int owned, const int64_t* const* offsets,
                const int32_t* const* columns, const int32_t* beside, uint16_t* slots)
{
    for (int64_t cell = 0; cell < count; ++cell)
        for (int i = 0; i < NODES; ++i)
            for (int j = 0; j < NODES; ++j)
            {
                int32_t row = nodes[cell * NODES + i], column = nodes[cell * NODES + j];
                const int part = part_of(row, column, owned);
                if (part == SENT)
                    row -= owned;
                if (part == BESIDE)
                    column = beside[column - owned];
                int64_t low = offsets[part][row], high = offsets[part][row + 1];
                while (high - low > 1)
                {
                    const int64_t middle = (low + high) / 2;
                    if (columns[part][middle] <= column) low = middle; else high = middle;
                }
                slots[(cell * NODES + i) * NODES + j] = (uint16_t)(low - offsets[part][row]);
            }
}

/* Add element matrices to the values of the three parts. Rows and columns of held unknowns are left out. */
void add_matrix(int count, const int32_t* corners, const double* x, const double* coefficients,
                const double* constants, const int32_t* nodes, const uint8_t* held, int owned,
                const int64_t* const* offsets, const uint16_t* slots, double* const* values)
{
    static lanes element[SIZE * SIZE];
    for (int first = 0; first < count; first += LANES)
    {
        tabulate_batch(first, count, corners, x, coefficients, constants, element);
        for (int l = 0; l < LANES && first + l < count; ++l)
        {
            const int64_t cell = first + l;
            const int32_t* own = nodes + cell * NODES;
            for (int i = 0; i < NODES; ++i)
                for (int p = 0; p < BLOCK; ++p)
                    if (held[(int64_t)own[i] * BLOCK + p])
                        for (int k = 0; k < SIZE; ++k)
                            element[(i * BLOCK + p) * SIZE + k][l] = element[k * SIZE + i * BLOCK + p][l] = 0.0;
            for (int i = 0; i < NODES; ++i)
                for (int j = 0; j < NODES; ++j)
                {
                    const int part = part_of(own[i], own[j], owned);
                    const int64_t* row = offsets[part] + own[i] - (part == SENT ? owned : 0);
                    const int64_t length = BLOCK * (row[1] - row[0]);
                    double* block = values[part] + BLOCK * (BLOCK * row[0] + slots[(cell * NODES + i) * NODES + j]);
                    for (int p = 0; p < BLOCK; ++p, block += length)
                        for (int q = 0; q < BLOCK; ++q)
                            block[q] += element[(i * BLOCK + p) * SIZE + j * BLOCK + q][l];
                }
        }
    }
}

#endif
