/* The convolutions of kernels.c where the processor multiplies matrices of bfloat16 (Intel AMX).
 *
 * A float is the sum of three bfloat16 without a rest: 24 bits are three times 8. Of the nine
 * products of two such sums the three smallest are below a float's rounding and left out, so the
 * six others, added up in floats, are as exact as products of floats, and several times faster
 * (the idea: Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 AI datatype for higher-precision
 * computations"). This file is compiled behind kernels.c, as one text.
 */
#if defined(__AMX_BF16__) && defined(__linux__) && LANES == 16 && !defined(NO_TILES)
#include <sys/syscall.h>
#include <unistd.h>

#define PARTS 3
#define SIDE 16           /* rows of a tile register, and columns of sums */
#define DEEP 32           /* channels that a tile register multiplies at once */
#define TILE (SIDE * DEEP) /* values in one */

typedef struct {
    uint8_t palette, start, unused[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} shapes;

/* Whether there are tile registers, and the system lets this process use them. */
int impasto_splits(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

static void tiles_begin(void) {
    shapes all = {.palette = 1};
    for (int i = 0; i < 8; i++) all.bytes[i] = 64, all.rows[i] = SIDE;
    _tile_loadconfig(&all);
}

/* 16 values as parts, TILE values from one part to the next. */
INLINE void split(vec value, uint16_t *to) {
#pragma GCC unroll 3
    for (int part = 0; part < PARTS; part++) {
        ivec bits = (ivec)value;
        _mm256_storeu_si256((__m256i *)(to + part * TILE),
                            _mm512_cvtepi32_epi16((__m512i)(bits >> 16)));
        value -= (vec)(bits & ~0xffff);
    }
}

#define ROWS_PART(part)                                                                       \
    _tile_loadd(4, a + (part) * TILE, 64);                                                    \
    if (pair) _tile_loadd(5, a + next + (part) * TILE, 64)
#define COLUMNS_PART(part)                                                                    \
    _tile_loadd(6, b + (part) * TILE, 64);                                                    \
    _tile_loadd(7, b + next + (part) * TILE, 64)
#define MULTIPLY                                                                              \
    _tile_dpbf16ps(0, 4, 6);                                                                  \
    _tile_dpbf16ps(1, 4, 7);                                                                  \
    if (pair) {                                                                               \
        _tile_dpbf16ps(2, 5, 6);                                                              \
        _tile_dpbf16ps(3, 5, 7);                                                              \
    }

/* Where sums go: floats to the tile at the right and to the one below, bytes from one row to the
 * next, and whether to add to what is there. */
typedef struct {
    long right, down, stride;
    int add;
} sums;

/* Two by two tiles of sums, or, without `pair`, one by two; small products come first. Meanwhile what
 * is needed soon is called for, `lines` of 64 bytes for each tile of channels. */
INLINE void tiles_of_sums(int pair, const uint16_t *a, const uint16_t *b, long chunks, float *out,
                          sums to, const char *soon, long lines) {
    long next = chunks * PARTS * TILE;
    if (to.add) {
        _tile_loadd(0, out, to.stride);
        _tile_loadd(1, out + to.right, to.stride);
        if (pair) {
            _tile_loadd(2, out + to.down, to.stride);
            _tile_loadd(3, out + to.down + to.right, to.stride);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (long k = 0; k < chunks; k++, a += PARTS * TILE, b += PARTS * TILE) {
        ROWS_PART(0);
        COLUMNS_PART(2);
        MULTIPLY;
        for (long i = 0; i < lines; i++, soon += 64) _mm_prefetch(soon, _MM_HINT_T1);
        COLUMNS_PART(1);
        MULTIPLY;
        COLUMNS_PART(0);
        MULTIPLY;
        ROWS_PART(1);
        MULTIPLY;
        COLUMNS_PART(1);
        MULTIPLY;
        ROWS_PART(2);
        COLUMNS_PART(0);
        MULTIPLY;
    }
    _tile_stored(0, out, to.stride);
    _tile_stored(1, out + to.right, to.stride);
    if (pair) {
        _tile_stored(2, out + to.down, to.stride);
        _tile_stored(3, out + to.down + to.right, to.stride);
    }
}

static void product_split(int pair, const uint16_t *a, const uint16_t *b, long chunks, float *out,
                          sums to) {
    if (pair)
        tiles_of_sums(1, a, b, chunks, out, to, NULL, 0);
    else
        tiles_of_sums(0, a, b, chunks, out, to, NULL, 0);
}

/* Two columns' tiles of a b. a: tiles of rows, in each tiles of channels, in each its parts; b: tiles
 * of columns, in each tiles of channels, in each its parts, whose channels lie in pairs; out: tiles of
 * rows, in each `columns` tiles. */
static void multiply_split(long rows, long chunks, long columns, const uint16_t *a,
                           const uint16_t *b, float *out) {
    sums to = {SIDE * SIDE, columns * SIDE * SIDE, 64, 0};
    long next = 2 * chunks * PARTS * TILE, pairs = (rows + 1) / 2;
    /* the next two columns' tiles: all of their lines, divided among the pairs of rows */
    long lines = (next * (long)sizeof *b / 64 / chunks + pairs - 1) / pairs;
    const char *soon = (const char *)(b + next);
    for (long r = 0; r < rows; r += 2, a += next, out += 2 * to.down, soon += lines * chunks * 64)
        if (r + 1 < rows)
            tiles_of_sums(1, a, b, chunks, out, to, soon, lines);
        else
            tiles_of_sums(0, a, b, chunks, out, to, soon, lines);
}

/* Tiles of the picture on their way through: the first of them, how many, their transforms and
 * products, and what lies between two of the 36 planes of these. */
typedef struct {
    long first, count, chunks, columns, plane, out_plane;
    uint16_t *v;
    float *m;
} passage;

static passage pass(const conv_args *g, long first, long last, void *scratch) {
    long rows = (last - first + SIDE - 1) / SIDE;
    long chunks = g->channels / DEEP, columns = g->out_channels / SIDE;
    /* a cache line between planes, so that they do not fall on the same sets of the cache */
    long plane = rows * chunks * PARTS * TILE + 32, out_plane = rows * columns * SIDE * SIDE + 16;
    uint16_t *v = scratch;
    return (passage){first, last - first, chunks, columns, plane, out_plane, v,
                     (float *)(v + 36 * plane)};
}

#define PASSAGE_BYTES(g) (36 * (size_t)(PARTS * 2 * (g)->channels + 4 * (g)->out_channels))
#define PASSAGE_MORE (36 * 2 * 64)

/* Tile t of the picture into the passage. */
static void tile_in(const conv_args *g, passage p, long t) {
    int inside;
    place at = tile_at(g, p.first + t, &inside);
    uint16_t *row = p.v + t / SIDE * p.chunks * PARTS * TILE + t % SIDE * DEEP;
    for (int c = 0; c < g->channels; c += LANES) {
        vec o[36];
        if (inside)
            tile_into(g, at, 1, c, LANES, o);
        else
            tile_into(g, at, 0, c, LANES, o);
        uint16_t *to = row + c / DEEP * PARTS * TILE + c % DEEP;
#pragma GCC unroll 36
        for (int i = 0; i < 36; i++) split(o[i], to + i * p.plane);
    }
}

/* The products with two of the columns' tiles of one of the 36 matrices. */
static void tiles_through(const conv_args *g, passage p, long xi, long n) {
    long next = p.chunks * PARTS * TILE;
    const uint16_t *u = (const uint16_t *)g->u + (xi * p.columns + n) * next;
    multiply_split((p.count + SIDE - 1) / SIDE, p.chunks, p.columns, p.v + xi * p.plane, u,
                   p.m + xi * p.out_plane + n * SIDE * SIDE);
}

/* Tile t out of the passage. */
static void tile_from(const conv_args *g, passage p, long t) {
    long across = (g->out_width + 3) / 4, down = (g->out_height + 3) / 4;
    long n = (p.first + t) / (across * down), of = (p.first + t) % (across * down);
    const float *row = p.m + t / SIDE * p.columns * SIDE * SIDE + t % SIDE * SIDE;
    for (int c = 0; c < g->out_channels; c += LANES)
        tile_out(g, n, of / across * 4, of % across * 4, c, LANES, row + c * SIDE, p.out_plane);
}

static void block_split(const conv_args *g, long first, long last, void *scratch) {
    passage p = pass(g, first, last, scratch);
    for (long t = 0; t < p.count; t++) tile_in(g, p, t);
    tiles_begin();
    for (long xi = 0; xi < 36; xi++)
        for (long n = 0; n < p.columns; n += 2) tiles_through(g, p, xi, n);
    _tile_release();
    for (long t = 0; t < p.count; t++) tile_from(g, p, t);
}

/* All threads on the same tiles, so that each filter is read by one of them only. */
static int together(const conv_args *g) {
    long tiles = g->batch * ((g->out_width + 3) / 4) * ((g->out_height + 3) / 4);
    long rounds = (tiles + g->block * g->threads - 1) / (g->block * g->threads);
    long groups = (tiles + SIDE - 1) / SIDE;
    size_t most = (size_t)((groups + rounds - 1) / rounds * SIDE);
    void *scratch = borrow(PASSAGE_BYTES(g) * most + PASSAGE_MORE);
    if (!scratch) return 1;
#pragma omp parallel num_threads(g->threads)
    for (long round = 0; round < rounds; round++) {
        long first = groups * round / rounds * SIDE;
        long last = round + 1 == rounds ? tiles : groups * (round + 1) / rounds * SIDE;
        passage p = pass(g, first, last, scratch);
#pragma omp for schedule(static)
        for (long t = 0; t < p.count; t++) tile_in(g, p, t);
        tiles_begin();
#pragma omp for schedule(static)
        for (long unit = 0; unit < 36 * p.columns / 2; unit++)
            tiles_through(g, p, unit / (p.columns / 2), unit % (p.columns / 2) * 2);
        _tile_release();
#pragma omp for schedule(static)
        for (long t = 0; t < p.count; t++) tile_from(g, p, t);
    }
    give_back(scratch);
    return 0;
}

#define SMALL (2L << 20) /* bytes of filters that stay in a thread's cache; as in convolution.py */

/* As impasto_conv, for channels in thirty-twos, with u in parts. */
int impasto_conv_split(const conv_args *g) {
    if (36 * PARTS * 2 * g->channels * g->out_channels > SMALL && g->threads > 0) return together(g);
    return in_blocks(g, SIDE, PASSAGE_BYTES(g), PASSAGE_MORE, block_split);
}

#define PAIR (2 * SIDE)

/* As impasto_times, for channels in thirty-twos, with b in parts. */
int impasto_times_split(const float *x, int64_t lines, int64_t length, int64_t stride,
                        const uint16_t *b, int64_t width, float *out, int64_t out_stride,
                        int64_t add, int64_t threads) {
    if (stride == length * width && out_stride == stride) length *= lines, lines = 1;
    long blocks = (length + PAIR - 1) / PAIR, next = width / DEEP * PARTS * TILE;
    size_t each = sizeof(uint16_t) * 2 * (size_t)next + sizeof(float) * PAIR * PAIR;
    each = (each + 4095) / 4096 * 4096;
    char *scratch = borrow(each * (size_t)threads);
    if (!scratch) return 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (long t = 0; t < threads; t++) {
        uint16_t *a = (uint16_t *)(scratch + (size_t)t * each);
        float *edge = (float *)(a + 2 * next);
        memset(a, 0, each);
        tiles_begin();
        for (long n = lines * blocks * t / threads; n < lines * blocks * (t + 1) / threads; n++) {
            long line = n / blocks, first = n % blocks * PAIR;
            long count = length - first < PAIR ? length - first : PAIR;
            const float *from = x + line * stride + first * width;
            float *to = out + line * out_stride + first * width;
            for (long p = 0; p < count; p++)
                for (long c = 0; c < width; c += LANES)
                    split(*(const vec *)(from + p * width + c),
                          a + p / SIDE * next + c / DEEP * PARTS * TILE + p % SIDE * DEEP + c % DEEP);
            for (long c = 0; c < width; c += PAIR) {
                const uint16_t *columns = b + c / SIDE * next;
                if (count == PAIR) {
                    sums whole = {SIDE, SIDE * width, 4 * width, (int)add};
                    product_split(1, a, columns, width / DEEP, to + c, whole);
                    continue;
                }
                product_split(count > SIDE, a, columns, width / DEEP, edge,
                              (sums){SIDE, SIDE * PAIR, 4 * PAIR, 0});
                for (long p = 0; p < count; p++)
                    for (long i = 0; i < PAIR; i += LANES) {
                        vec *at = (vec *)(to + p * width + c + i);
                        vec before = add ? *at : (vec){0};
                        *at = before + *(vec *)(edge + p * PAIR + i);
                    }
            }
        }
        _tile_release();
    }
    give_back(scratch);
    return 0;
}

#define SPREAD (4 * DEEP) /* positions whose parts lie in the cache together */

/* 16 x 16 values of 32 bits, rows to columns. */
INLINE void turn(__m512i *r) {
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
            r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    /* r[4 i + j]: for each quarter q, column 4 q + j of rows 4 i to 4 i + 3 */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512i even = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
        __m512i odd = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
        __m512i more = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
        __m512i other = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
        t[j] = _mm512_shuffle_i32x4(even, more, 0x88);
        t[8 + j] = _mm512_shuffle_i32x4(even, more, 0xdd);
        t[4 + j] = _mm512_shuffle_i32x4(odd, other, 0x88);
        t[12 + j] = _mm512_shuffle_i32x4(odd, other, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) r[i] = t[i];
}

/* Two rows of sixteen values as parts, the two of a column beside each other. */
INLINE void split_pair(vec one, vec two, uint16_t *to) {
#pragma GCC unroll 3
    for (int part = 0; part < PARTS; part++, to += TILE) {
        ivec low = (ivec)one, high = (ivec)two & ~0xffff;
        _mm512_storeu_si512(to, (__m512i)(high | (low >> 16 & 0xffff)));
        one -= (vec)(low & ~0xffff);
        two -= (vec)high;
    }
}

/* `count` matrices (inputs x outputs) as products want their right factor: tiles of columns, in each
 * tiles of rows, in each its parts, whose rows lie in pairs. */
void impasto_parts(const float *from, int64_t count, int64_t inputs, int64_t outputs, uint16_t *to,
                   int64_t threads) {
    long columns = outputs / SIDE;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long n = 0; n < count * columns; n++) {
        const float *at = from + n / columns * inputs * outputs + n % columns * SIDE;
        uint16_t *tiles = to + n * inputs / DEEP * PARTS * TILE;
        for (long k = 0; k < inputs; k += 2)
            split_pair(*(const vec *)(at + k * outputs), *(const vec *)(at + (k + 1) * outputs),
                       tiles + k / DEEP * PARTS * TILE + k % DEEP * SIDE);
    }
}

/* Sixteen channels of DEEP positions (those from `count` on are 0) as tiles of rows, `a`, and of
 * columns, `b`, both in parts. */
INLINE void both_ways(const float **at, long c, int count, uint16_t *a, uint16_t *b) {
    vec values[DEEP];
#pragma GCC unroll 32
    for (int p = 0; p < DEEP; p++) values[p] = p < count ? *(const vec *)(at[p] + c) : (vec){0};
#pragma GCC unroll 16
    for (int p = 0; p < 16; p++) split_pair(values[2 * p], values[2 * p + 1], b + 32 * p);
    for (int part = 0; part < PARTS; part++, a += TILE, b += TILE) {
        __m512i pairs[16];
#pragma GCC unroll 16
        for (int p = 0; p < 16; p++) pairs[p] = _mm512_loadu_si512(b + 32 * p);
        turn(pairs);
#pragma GCC unroll 16
        for (int p = 0; p < 16; p++) _mm512_storeu_si512(a + 32 * p, pairs[p]);
    }
}

/* As gram_of. */
static void gram_split_of(const float *x, long first, long last, long length, long stride,
                          long channels, char *work, double *total) {
    long each = channels * channels, next = SPREAD / DEEP * PARTS * TILE;
    float *out = (float *)work;
    uint16_t *a = (uint16_t *)(out + each), *b = a + channels / SIDE * next;
    memset(out, 0, sizeof(float) * (size_t)each);
    memset(total, 0, sizeof(double) * (size_t)each);
    const float *line = x + first / length * stride;
    long column = first % length;
    for (long done = 0, all = last - first; done < all; done += SPREAD) {
        for (long chunk = 0; chunk < SPREAD / DEEP; chunk++) {
            long left = all - done - chunk * DEEP;
            int count = left > DEEP ? DEEP : left > 0 ? (int)left : 0;
            const float *at[DEEP];
            for (int p = 0; p < count; p++, column++) {
                if (column == length) column = 0, line += stride;
                at[p] = line + column * channels;
            }
            for (long c = 0; c < channels; c += SIDE) {
                uint16_t *row = a + c / SIDE * next + chunk * PARTS * TILE;
                if (count == DEEP)
                    both_ways(at, c, DEEP, row, row + (b - a));
                else
                    both_ways(at, c, count, row, row + (b - a));
            }
        }
        sums to = {SIDE, SIDE * channels, 4 * channels, 1};
        for (long i = 0; i < channels; i += PAIR)
            for (long j = i; j < channels; j += PAIR)
                product_split(1, a + i / SIDE * next, b + j / SIDE * next, SPREAD / DEEP,
                              out + i * channels + j, to);
        if (done / SPREAD % (SPAN * LAPS / SPREAD) == SPAN * LAPS / SPREAD - 1 ||
            done + SPREAD >= all) {
            for (long e = 0; e < each; e++) total[e] += (double)out[e];
            memset(out, 0, sizeof(float) * (size_t)each);
        }
    }
}

static void gram_with_tiles(const float *x, long first, long last, long length, long stride,
                            long channels, char *work, double *total) {
    tiles_begin();
    gram_split_of(x, first, last, length, stride, channels, work, total);
    _tile_release();
}

/* As impasto_gram, for channels in thirty-twos. */
int impasto_gram_split(const float *x, int64_t lines, int64_t length, int64_t stride,
                       int64_t channels, float *out, int64_t threads) {
    size_t parts = 2 * sizeof(uint16_t) * PARTS * SPREAD * (size_t)channels;
    return gram_by(gram_with_tiles, parts, x, lines, length, stride, channels, out, threads);
}

#else
int impasto_splits(void) { return 0; }
#endif
