/* Convolutions of 3 x 3 by Winograd's F(4 x 4, 3 x 3) (Lavin & Gray 2016) on channels-last floats.
 *
 * Tiles are taken in blocks whose transforms stay in the cache: transform 6 x 6 pixels, multiply
 * the 36 matrices, transform back, add the bias, apply the ReLU. Each output is computed by one
 * thread in an order that depends on nothing but its tile's matrix products, so results do not
 * depend on the number of threads.
 *
 * Vectors are the compiler's (GCC and Clang): as wide as the machine's registers.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#define PANEL_VECTORS 4
#define ROWS 6
#elif defined(__AVX__)
#define LANES 8
#define PANEL_VECTORS 2
#define ROWS 6
#else
#define LANES 4
#define PANEL_VECTORS 2
#define ROWS 6
#endif
#define PANEL (LANES * PANEL_VECTORS)

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

int impasto_lanes(void) { return LANES; }
int impasto_panel(void) { return PANEL; }

INLINE vec load(const float *p, int count) {
    if (count >= LANES) return *(const vec *)p;
    vec v = {0};
    memcpy(&v, p, sizeof(float) * (size_t)count);
    return v;
}

INLINE void store(float *p, vec v, int count) {
    if (count >= LANES)
        *(vec *)p = v;
    else
        memcpy(p, &v, sizeof(float) * (size_t)count);
}

INLINE vec splat(float s) { return s - (vec){0}; }

INLINE vec positive(vec values) { return (vec)((ivec)values & (ivec)(values > (vec){0})); }

/* ---- room to work in, kept from one call to the next: fresh pages cost more than the work ---- */

#define KEPT_MOST (64UL << 20)
static atomic_flag kept_is_lent = ATOMIC_FLAG_INIT;
static void *kept;
static size_t kept_bytes;

/* At least so many bytes; NULL when there is no memory. Whoever comes while the kept room is lent, or
 * asks for much, gets some for once. */
static void *borrow(size_t bytes) {
    bytes = (bytes + 4095) / 4096 * 4096;
    if (bytes > KEPT_MOST || atomic_flag_test_and_set(&kept_is_lent))
        return aligned_alloc(4096, bytes);
    if (bytes > kept_bytes) {
        free(kept);
        kept = aligned_alloc(4096, bytes);
        kept_bytes = kept ? bytes : 0;
        if (!kept) atomic_flag_clear(&kept_is_lent);
    }
    return kept;
}

static void give_back(void *room) {
    if (room && room == kept)
        atomic_flag_clear(&kept_is_lent);
    else
        free(room);
}

/* ---- signs: a bit per channel, the bits of a pixel from a byte of their own on ---- */

#define SIGN_BYTES(channels) (((channels) + 7) / 8)

/* Whether the values of channels c, c + 1, ... are positive; lower channels first. */
INLINE void sign(uint8_t *bits, long c, vec values, int count) {
    bits += c / 8;
#if LANES == 16
    int on = _mm512_cmp_ps_mask((__m512)values, _mm512_setzero_ps(), _CMP_GT_OQ);
    bits[0] = (uint8_t)on;
    if (count > 8) bits[1] = (uint8_t)(on >> 8);
#elif LANES == 8
    (void)count;
    bits[0] = (uint8_t)_mm256_movemask_ps((__m256)(values > (vec){0}));
#else
    int on = 0;
    (void)count;
    for (int i = 0; i < LANES; i++) on |= (values[i] > 0) << i;
    bits[0] = (uint8_t)(c % 8 ? bits[0] | on << 4 : on);
#endif
}

/* The values of channels c, c + 1, ... whose bit is set; 0 for the others. */
INLINE vec chosen(vec values, const uint8_t *bits, long c, int count) {
    bits += c / 8;
#if LANES == 16
    int on = count > 8 ? bits[0] | bits[1] << 8 : bits[0];
    return (vec)_mm512_maskz_mov_ps((__mmask16)on, (__m512)values);
#else
    ivec each = {0};
    (void)count;
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++) each[i] = 1 << i;
    ivec on = ((ivec){0} + (bits[0] >> c % 8)) & each;
    return (vec)((ivec)values & (ivec)(on == each));
#endif
}

/* ---- products: out (rows x width) = a (rows x depth) b (depth x width), b in panels ---- */

INLINE void product(int rows, int vectors, const float *a, long lda, const int32_t *index,
                    int depth, const float *b, float *out, long ldo) {
    vec sum[ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = (vec){0};
    for (int k = 0; k < depth; k++) {
        const float *at = a + index[k];
        vec row[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) row[v] = *(const vec *)(b + v * LANES);
        b += vectors * LANES;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vec factor = splat(at[r * lda]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] += factor * row[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) *(vec *)(out + r * ldo + v * LANES) = sum[r][v];
}

#define BY_ROWS(vectors)                                                                      \
    static void product_##vectors(int rows, const float *a, long lda, const int32_t *index,   \
                                  int depth, const float *b, float *out, long ldo) {          \
        for (; rows >= ROWS; rows -= ROWS, a += ROWS * lda, out += ROWS * ldo)                 \
            product(ROWS, vectors, a, lda, index, depth, b, out, ldo);                         \
        switch (rows) {                                                                        \
        case 5: product(5, vectors, a, lda, index, depth, b, out, ldo); break;                 \
        case 4: product(4, vectors, a, lda, index, depth, b, out, ldo); break;                 \
        case 3: product(3, vectors, a, lda, index, depth, b, out, ldo); break;                 \
        case 2: product(2, vectors, a, lda, index, depth, b, out, ldo); break;                 \
        case 1: product(1, vectors, a, lda, index, depth, b, out, ldo); break;                 \
        }                                                                                      \
    }
BY_ROWS(1)
BY_ROWS(2)
#if PANEL_VECTORS > 2
BY_ROWS(3)
BY_ROWS(4)
#endif

static void multiply(int rows, const float *a, long lda, const int32_t *index, int depth,
                     const float *b, int width, float *out, long ldo) {
    for (int n = 0; n < width; n += PANEL) {
        const float *panel = b + (long)n * depth;
        switch ((width - n < PANEL ? width - n : PANEL) / LANES) {
        case 1: product_1(rows, a, lda, index, depth, panel, out + n, ldo); break;
        case 2: product_2(rows, a, lda, index, depth, panel, out + n, ldo); break;
#if PANEL_VECTORS > 2
        case 3: product_3(rows, a, lda, index, depth, panel, out + n, ldo); break;
        case 4: product_4(rows, a, lda, index, depth, panel, out + n, ldo); break;
#endif
        }
    }
}

/* ---- Winograd's transforms, along one axis ---- */

INLINE void into(vec *o, long step, vec a, vec b, vec c, vec d, vec e, vec f) {
    vec p = d - 4 * b, q = e - 4 * c, r = 2 * (d - b), s = e - c;
    o[0 * step] = 4 * a - 5 * c + e;
    o[1 * step] = q + p;
    o[2 * step] = q - p;
    o[3 * step] = s + r;
    o[4 * step] = s - r;
    o[5 * step] = 4 * b - 5 * d + f;
}

INLINE void outof(vec *o, long step, vec a, vec b, vec c, vec d, vec e, vec f) {
    vec p = b + c, q = b - c, r = d + e, s = d - e;
    o[0 * step] = a + p + r;
    o[1 * step] = q + 2 * s;
    o[2 * step] = p + 4 * r;
    o[3 * step] = q + 8 * s + f;
}

/* What a call knows: shapes in pixels and floats; all tensors are dense (B, H, W, C). Where there
 * is a mask, the bits of x, only what they choose counts; the signs of y are written if wanted.
 * With y_means, what is written is the means of 2 x 2 pixels of y; with x_means, what is read is the
 * gradient of such means of x. An odd last row or column is in none of them. */
typedef struct {
    const float *x;
    const uint8_t *mask;
    const float *u, *bias;
    const int32_t *index;
    float *y;
    uint8_t *signs;
    int64_t height, width, channels, out_height, out_width, out_channels;
    int64_t depth, pad, relu, batch, threads, block, y_means, x_means;
} conv_args;

typedef struct {
    const float *x;
    const uint8_t *mask;
    long top, left;
} place;

#define PADDED(channels) (((channels) + LANES - 1) / LANES * LANES)

/* A pixel's part in the gradient of the mean that it belongs to. */
INLINE vec spread_mean(const conv_args *g, const float *x, long row, long column, int c, int count) {
    long down = row / 2, across = column / 2, wide = g->width / 2;
    if (down >= g->height / 2 || across >= wide) return (vec){0};
    return 0.25f * load(x + (down * wide + across) * g->channels + c, count);
}

/* The transform of channels c, c + 1, ... of a tile. */
INLINE void transform(const conv_args *g, place at, int inside, int means, int c, int count,
                      vec *o) {
    vec d[36], t[36];
    long channels = g->channels;
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        long row = at.top + i;
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
            long column = at.left + j;
            if (inside || (row >= 0 && row < g->height && column >= 0 && column < g->width)) {
                long pixel = row * g->width + column;
                vec values = means ? spread_mean(g, at.x, row, column, c, count)
                                   : load(at.x + pixel * channels + c, count);
                if (g->mask)
                    values = chosen(values, at.mask + pixel * SIGN_BYTES(channels), c, count);
                d[6 * i + j] = values;
            } else
                d[6 * i + j] = (vec){0};
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++)
        into(t + j, 6, d[j], d[6 + j], d[12 + j], d[18 + j], d[24 + j], d[30 + j]);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        vec *r = t + 6 * i;
        into(o + 6 * i, 1, r[0], r[1], r[2], r[3], r[4], r[5]);
    }
}

INLINE void tile_into(const conv_args *g, place at, int inside, int c, int count, vec *o) {
    if (g->x_means)
        transform(g, at, inside, 1, c, count, o);
    else
        transform(g, at, inside, 0, c, count, o);
}

INLINE void tile_to(const conv_args *g, place at, int inside, int c, int count, float *v,
                    long plane) {
    vec o[36];
    tile_into(g, at, inside, c, count, o);
#pragma GCC unroll 36
    for (int i = 0; i < 36; i++) *(vec *)(v + i * plane + c) = o[i];
}

/* Where tile t lies; `inside` says whether all that it reads is there. */
INLINE place tile_at(const conv_args *g, long t, int *inside) {
    long across = (g->out_width + 3) / 4, down = (g->out_height + 3) / 4;
    long n = t / (across * down), of = t % (across * down), pixel = n * g->height * g->width;
    long read = g->x_means ? n * (g->height / 2) * (g->width / 2) : pixel;
    place at = {g->x + read * g->channels,
                g->mask ? g->mask + pixel * SIGN_BYTES(g->channels) : 0,
                of / across * 4 - g->pad, of % across * 4 - g->pad};
    *inside = at.top >= 0 && at.left >= 0 && at.top + 6 <= g->height && at.left + 6 <= g->width;
    return at;
}

/* The means of a tile's 4 x 4 pixels, the first of them at (top, left) of all means. */
INLINE void means_out(const conv_args *g, long sample, long top, long left, int n, int count,
                      const vec *found) {
    long down = g->out_height / 2, across = g->out_width / 2;
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            if (top + i >= down || left + j >= across) continue;
            const vec *at = found + 8 * i + 2 * j;
            long pixel = (sample * down + top + i) * across + left + j;
            store(g->y + pixel * g->out_channels + n, 0.25f * (at[0] + at[1] + at[4] + at[5]),
                  count);
        }
}

/* m: the channels from n on of a tile's products, `plane` floats from one matrix to the next. */
INLINE void tile_out(const conv_args *g, long sample, long top, long left, int n, int count,
                     const float *m, long plane) {
    vec t[24], bias = g->bias ? load(g->bias + n, count) : (vec){0};
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        vec c[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) c[i] = *(const vec *)(m + (6 * i + j) * plane);
        outof(t + j, 6, c[0], c[1], c[2], c[3], c[4], c[5]);
    }
    vec found[16];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        vec *r = t + 6 * i;
        outof(found + 4 * i, 1, r[0], r[1], r[2], r[3], r[4], r[5]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        if (top + i >= g->out_height) break;
        long first = (sample * g->out_height + top + i) * g->out_width + left;
        float *row = g->y + first * g->out_channels + n;
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (left + j >= g->out_width) break;
            vec value = found[4 * i + j] + bias;
            if (g->relu) value = positive(value);
            if (g->y_means)
                found[4 * i + j] = value;
            else
                store(row + j * g->out_channels, value, count);
            if (g->signs)
                sign(g->signs + (first + j) * SIGN_BYTES(g->out_channels), n, value, count);
        }
    }
    if (g->y_means) means_out(g, sample, top / 2, left / 2, n, count, found);
}

static void block_of_tiles(const conv_args *g, long first, long last, void *scratch) {
    long across = (g->out_width + 3) / 4, down = (g->out_height + 3) / 4;
    long deep = PADDED(g->channels), wide = PADDED(g->out_channels), tiles = last - first;
    /* one vector between planes, so that they do not fall on the same sets of the cache */
    long plane = tiles * deep + LANES, out_plane = tiles * wide + LANES;
    float *v = scratch, *m = v + 36 * plane;
    for (long t = 0; t < tiles; t++) {
        int inside;
        place at = tile_at(g, first + t, &inside);
        for (int c = 0; c < g->channels; c += LANES) {
            int count = g->channels - c < LANES ? (int)(g->channels - c) : LANES;
            if (inside && count == LANES)
                tile_to(g, at, 1, c, LANES, v + t * deep, plane);
            else
                tile_to(g, at, inside, c, count, v + t * deep, plane);
        }
    }
    for (int xi = 0; xi < 36; xi++)
        multiply((int)tiles, v + xi * plane, deep, g->index, (int)g->depth,
                 g->u + xi * g->depth * wide, (int)wide, m + xi * out_plane, wide);
    for (long t = 0; t < tiles; t++) {
        long n = (first + t) / (across * down), of = (first + t) % (across * down);
        for (int c = 0; c < g->out_channels; c += LANES) {
            int count = g->out_channels - c < LANES ? (int)(g->out_channels - c) : LANES;
            const float *found = m + t * wide + c;
            if (count == LANES)
                tile_out(g, n, of / across * 4, of % across * 4, c, LANES, found, out_plane);
            else
                tile_out(g, n, of / across * 4, of % across * 4, c, count, found, out_plane);
        }
    }
}

typedef void block(const conv_args *g, long first, long last, void *scratch);

/* All tiles in blocks that begin at multiples of `rows`; each tile needs `each` bytes of scratch,
 * each block `more` besides. 0 when done, 1 when there was no memory. */
static int in_blocks(const conv_args *g, long rows, size_t each, size_t more, block *work) {
    long tiles = g->batch * ((g->out_width + 3) / 4) * ((g->out_height + 3) / 4);
    long threads = g->threads < 1 ? 1 : g->threads;
    long rounds = (tiles + g->block * threads - 1) / (g->block * threads);
    long groups = (tiles + rows - 1) / rows, blocks = rounds * threads;
    if (blocks > groups) blocks = groups;
    size_t bytes = each * (size_t)((groups + blocks - 1) / blocks * rows) + more;
    bytes = (bytes + 4095) / 4096 * 4096;
    char *scratch = borrow(bytes * (size_t)threads);
    if (!scratch) return 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (long thread = 0; thread < threads; thread++)
        for (long b = thread; b < blocks; b += threads)
            work(g, groups * b / blocks * rows,
                 b + 1 == blocks ? tiles : groups * (b + 1) / blocks * rows,
                 scratch + (size_t)thread * bytes);
    give_back(scratch);
    return 0;
}

/* 0 when done, 1 when there was no memory. */
int impasto_conv(const conv_args *g) {
    size_t each = sizeof(float) * 36 * (size_t)(PADDED(g->channels) + PADDED(g->out_channels));
    return in_blocks(g, ROWS, each, sizeof(float) * 36 * 2 * LANES, block_of_tiles);
}

/* ---- Gram matrices of (rows, channels), channels a multiple of LANES ---- */

#define SPAN 64 /* rows whose panels lie in the first cache together */
#define LAPS 32

INLINE void outer(int rows, const float *a, const float *b, int width, int span, float *out,
                  long channels) {
    vec sum[ROWS][PANEL_VECTORS];
    int vectors = width / LANES;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = (vec){0};
    for (int p = 0; p < span; p++) {
        vec row[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) row[v] = *(const vec *)(b + p * PANEL + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vec factor = splat(a[p * PANEL + r]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] += factor * row[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) *(vec *)(out + r * channels + v * LANES) += sum[r][v];
}

/* The products of one panel of channels with another, added to out. */
static void outer_panels(const float *a, int rows, const float *b, int width, int span, float *out,
                         long channels) {
    int r = 0;
    if (width == PANEL)
        for (; r + ROWS <= rows; r += ROWS)
            outer(ROWS, a + r, b, PANEL, span, out + r * channels, channels);
    for (; r < rows; r++)
        for (int v = 0; v < width; v += LANES)
            outer(1, a + r, b + v, LANES, span, out + r * channels + v, channels);
}

/* x^T x of the positions from first to last, counted along lines of `length` of them. Sums of
 * SPAN * LAPS positions are floats; theirs are doubles, since positions can be millions. */
static void gram_of(const float *x, long first, long last, long length, long stride, long channels,
                    char *scratch, double *total) {
    long each = channels * channels;
    float *out = (float *)scratch, *work = out + each;
    memset(out, 0, sizeof(float) * (size_t)each);
    memset(total, 0, sizeof(double) * (size_t)each);
    const float *line = x + first / length * stride;
    long column = first % length;
    for (long done = 0, all = last - first; done < all; done += SPAN) {
        int span = all - done < SPAN ? (int)(all - done) : SPAN;
        for (int p = 0; p < span; p++, column++) {
            if (column == length) column = 0, line += stride;
            const float *at = line + column * channels;
            for (long c = 0; c < channels; c += LANES)
                *(vec *)(work + c / PANEL * PANEL * SPAN + p * PANEL + c % PANEL) =
                    *(const vec *)(at + c);
        }
        for (long j = 0; j < channels; j += PANEL)
            for (long i = 0; i <= j; i += PANEL)
                outer_panels(work + i * SPAN, channels - i < PANEL ? (int)(channels - i) : PANEL,
                             work + j * SPAN, channels - j < PANEL ? (int)(channels - j) : PANEL,
                             span, out + i * channels + j, channels);
        if (done / SPAN % LAPS == LAPS - 1 || done + SPAN >= all) {
            for (long e = 0; e < each; e++) total[e] += (double)out[e];
            memset(out, 0, sizeof(float) * (size_t)each);
        }
    }
}

typedef void gram_part(const float *x, long first, long last, long length, long stride,
                       long channels, char *scratch, double *total);

/* See impasto_gram; `work` needs `more` bytes of scratch besides a matrix of floats. */
static int gram_by(gram_part *work, size_t more, const float *x, int64_t lines, int64_t length,
                   int64_t stride, int64_t channels, float *out, int64_t threads) {
    long each = channels * channels;
    size_t totals = (sizeof(double) * (size_t)each + 63) / 64 * 64;
    size_t bytes = totals + sizeof(float) * (size_t)each + more;
    bytes = (bytes + 4095) / 4096 * 4096;
    char *scratch = borrow(bytes * (size_t)threads);
    if (!scratch) return 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (long t = 0; t < threads; t++) {
        char *mine = scratch + (size_t)t * bytes;
        long rows = lines * length, first = rows * t / threads, last = rows * (t + 1) / threads;
        work(x, first, last, length, stride, channels, mine + totals, (double *)mine);
    }
    for (long i = 0; i < channels; i++)
        for (long j = i; j < channels; j++) {
            double sum = 0;
            for (long t = 0; t < threads; t++)
                sum += ((double *)(scratch + (size_t)t * bytes))[i * channels + j];
            out[i * channels + j] = out[j * channels + i] = (float)sum;
        }
    give_back(scratch);
    return 0;
}

/* out = x^T x, symmetric, of `lines` lines of `length` positions, `stride` floats apart; parts of
 * the positions are summed in order. 1 when there is no memory. */
int impasto_gram(const float *x, int64_t lines, int64_t length, int64_t stride, int64_t channels,
                 float *out, int64_t threads) {
    size_t panels = sizeof(float) * SPAN * (size_t)((channels + PANEL - 1) / PANEL * PANEL);
    return gram_by(gram_of, panels, x, lines, length, stride, channels, out, threads);
}

#define STEP (4 * ROWS) /* positions that are multiplied at once */

/* out (= or, if `add`, +=) x b for `lines` lines of `length` positions: x has `width` channels and
 * lines `stride` floats apart, out the same with `out_stride`; b (width x width) is in panels.
 * 1 when there is no memory. */
int impasto_times(const float *x, int64_t lines, int64_t length, int64_t stride, const float *b,
                  int64_t width, const int32_t *index, float *out, int64_t out_stride, int64_t add,
                  int64_t threads) {
    if (stride == length * width && out_stride == stride) length *= lines, lines = 1;
    long blocks = (length + STEP - 1) / STEP;
    size_t each = (sizeof(float) * STEP * (size_t)width + 4095) / 4096 * 4096;
    char *scratch = add ? borrow(each * (size_t)threads) : NULL;
    if (add && !scratch) return 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (long t = 0; t < threads; t++) {
        float *part = add ? (float *)(scratch + (size_t)t * each) : NULL;
        for (long n = lines * blocks * t / threads; n < lines * blocks * (t + 1) / threads; n++) {
            long line = n / blocks, first = n % blocks * STEP;
            int count = length - first < STEP ? (int)(length - first) : STEP;
            float *to = out + line * out_stride + first * width;
            multiply(count, x + line * stride + first * width, width, index, (int)width, b,
                     (int)width, add ? part : to, width);
            if (add)
                for (long i = 0; i < count * width; i += LANES)
                    *(vec *)(to + i) += *(vec *)(part + i);
        }
    }
    give_back(scratch);
    return 0;
}

/* ---- values that are not 0, and a bit for each value that says where they are ---- */

/* Bits of `lines` lines of `length` values, `stride` apart, a byte of their own for each eight of a
 * line, the lowest bit first; and how many are set in each line. */
void impasto_mark(const float *x, int64_t lines, int64_t length, int64_t stride, uint8_t *bits,
                  int64_t *counts, int64_t threads) {
    long bytes = (length + 7) / 8;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long line = 0; line < lines; line++) {
        const float *from = x + line * stride;
        uint8_t *to = bits + line * bytes;
        long found = 0;
        for (long n = 0; n < length; n += 8) {
            int on = 0, most = length - n < 8 ? (int)(length - n) : 8;
            for (int i = 0; i < most; i++) on |= (from[n + i] != 0) << i;
            to[n / 8] = (uint8_t)on;
            found += __builtin_popcount((unsigned)on);
        }
        counts[line] = found;
    }
}

/* The marked values of each line to `values`, at `starts[line]`. */
void impasto_pack(const float *x, int64_t lines, int64_t length, int64_t stride,
                  const uint8_t *bits, const int64_t *starts, float *values, int64_t threads) {
    long bytes = (length + 7) / 8;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long line = 0; line < lines; line++) {
        const uint8_t *marks = bits + line * bytes;
        float *to = values + starts[line];
        for (long n = 0; n < bytes; n++)
            for (int on = marks[n]; on; on &= on - 1)
                *to++ = x[line * stride + n * 8 + __builtin_ctz((unsigned)on)];
    }
}

/* The reverse: dense lines. */
void impasto_unpack(const uint8_t *bits, const int64_t *starts, const float *values, int64_t lines,
                    int64_t length, float *x, int64_t threads) {
    long bytes = (length + 7) / 8;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long line = 0; line < lines; line++) {
        const float *from = values + starts[line];
        float *to = x + line * length;
        memset(to, 0, sizeof(float) * (size_t)length);
        for (long n = 0; n < bytes; n++)
            for (int on = bits[line * bytes + n]; on; on &= on - 1)
                to[n * 8 + __builtin_ctz((unsigned)on)] = *from++;
    }
}

/* ---- means of 2 x 2 pixels; an odd last row or column is left out ---- */

void impasto_pool(const float *x, int64_t batch, int64_t height, int64_t width, int64_t channels,
                  float *y, int64_t threads) {
    long rows = height / 2, columns = width / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long at = 0; at < batch * rows; at++) {
        const float *a = x + (at / rows * height + at % rows * 2) * width * channels;
        const float *b = a + width * channels;
        float *out = y + at * columns * channels;
        for (long column = 0; column < columns; column++, a += channels, b += channels)
            for (long c = 0; c < channels; c++, a++, b++)
                *out++ = 0.25f * (a[0] + a[channels] + b[0] + b[channels]);
    }
}

/* The gradient of the above: a quarter to each of four; 0 where nobody looked. */
void impasto_unpool(const float *y, int64_t batch, int64_t height, int64_t width, int64_t channels,
                    float *x, int64_t threads) {
    long rows = height / 2, columns = width / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long at = 0; at < batch * height; at++) {
        long row = at % height / 2;
        const float *in = y + (at / height * rows + row) * columns * channels;
        float *out = x + at * width * channels;
        long seen = row < rows ? columns : 0;
        for (long column = 0; column < seen; column++, out += 2 * channels, in += channels)
            for (long c = 0; c < channels; c++) out[c] = out[channels + c] = 0.25f * in[c];
        memset(out, 0, sizeof(float) * (size_t)((width - 2 * seen) * channels));
    }
}

/* ---- sums and mixtures by channel: instance normalisation, forward and backward ----
 *
 * Maps are lines of `width` floats, in which the channels lie once or several times; the last line
 * of a map may end early. Lines are taken in groups, the same whatever the number of threads. */

#define GROUP 256 /* lines that are summed in one go; as in channels.py */
#define BRIEF 32 /* lines that are summed as floats, before doubles take over */
#define GROUPS(length, width) (((length) + (width) * GROUP - 1) / ((width) * GROUP))

INLINE void group_sums(int vectors, const float *x, const float *slope, const float *made,
                      const float *centre, long from, long to, long length, long width, long c,
                      double *sums) {
    for (long begin = from; begin < to; begin += BRIEF) {
        long end = begin + BRIEF < to ? begin + BRIEF : to;
        vec first[PANEL_VECTORS], second[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) first[v] = second[v] = (vec){0};
        for (long line = begin; line < end; line++) {
            long start = line * width + c;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                long at = start + v * LANES;
                int count = (int)(length - at < width - c - v * LANES ? length - at
                                                                      : width - c - v * LANES);
                if (count <= 0) continue;
                vec apart = load(x + at, count) - load(centre + c + v * LANES, count);
                vec u = apart;
                if (slope) {
                    u = load(slope + at, count);
                    if (made)
                        u = (vec)((ivec)u & (ivec)(load(made + at, count) > (vec){0}));
                }
                first[v] += u;
                second[v] += u * apart;
            }
        }
        for (int v = 0; v < vectors; v++)
            for (int i = 0; i < LANES && c + v * LANES + i < width; i++) {
                sums[c + v * LANES + i] += first[v][i];
                sums[width + c + v * LANES + i] += second[v][i];
            }
    }
}

/* For each of `batch` maps of `length` floats, the sums of u and of u (x - centre) by column, as
 * doubles (batch, groups, 2, width). u are the slopes, 0 where `made` is not above 0 if there is
 * such; without slopes u is x - centre. `centre` is (batch, width). */
void impasto_sums(const float *x, const float *slope, const float *made, const float *centre,
                  int64_t batch, int64_t length, int64_t width, double *sums, int64_t threads) {
    long groups = GROUPS(length, width), lines = (length + width - 1) / width;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long at = 0; at < batch * groups; at++) {
        long map = at / groups, from = at % groups * GROUP;
        long to = from + GROUP < lines ? from + GROUP : lines;
        const float *u = slope ? slope + map * length : NULL;
        const float *y = made ? made + map * length : NULL;
        double *out = sums + at * 2 * width;
        memset(out, 0, sizeof(double) * 2 * (size_t)width);
        for (long c = 0; c < width; c += PANEL) {
            const float *middle = centre + map * width;
            if (width - c >= PANEL)
                group_sums(PANEL_VECTORS, x + map * length, u, y, middle, from, to, length, width,
                          c, out);
            else
                for (long d = c; d < width; d += LANES)
                    group_sums(1, x + map * length, u, y, middle, from, to, length, width, d, out);
        }
    }
}

/* out = factor (x - centre) + shift, plus share times the slopes (0 where `made` is not above 0), plus
 * `besides`, what is below 0 made 0 if `relu`; each only where there is one. centre, factor,
 * share and shift are (batch, width). */
void impasto_mix(const float *x, const float *slope, const float *made, const float *besides,
                 const float *centre, const float *factor, const float *share, const float *shift,
                 int64_t batch, int64_t length, int64_t width, int64_t relu, float *out,
                 int64_t threads) {
    long groups = GROUPS(length, width);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long at = 0; at < batch * groups; at++) {
        long map = at / groups, from = at % groups * GROUP * width;
        long to = from + GROUP * width < length ? from + GROUP * width : length, base = map * length;
        const float *a = factor + map * width, *b = share ? share + map * width : NULL;
        const float *m = centre + map * width, *k = shift + map * width;
        for (long line = from; line < to; line += width) {
            long whole = to - line < width ? to - line : width;
            for (long c = 0; c < whole; c += LANES) {
                int count = (int)(whole - c);
                long here = base + line + c;
                vec v = (load(x + here, count) - load(m + c, count)) * load(a + c, count) +
                        load(k + c, count);
                if (slope) {
                    vec u = load(slope + here, count);
                    if (made)
                        u = (vec)((ivec)u & (ivec)(load(made + here, count) > (vec){0}));
                    v += u * load(b + c, count);
                }
                if (besides) v += load(besides + here, count);
                store(out + here, relu ? positive(v) : v, count);
            }
        }
    }
}

/* ---- 3 x 3 convolutions of few channels (the picture's three): products of whole patches ---- */

#define STRIP (4 * ROWS) /* positions whose patches are multiplied at once */

/* Patches of `count` outputs from (row, column) on, each of 9 * channels values. */
static void patches(const conv_args *g, const float *x, long row, long column, int count,
                    float *out) {
    long channels = g->channels, each = 9 * channels;
    for (int p = 0; p < count; p++)
        for (long i = 0; i < 3; i++) {
            long y = row + i - g->pad, left = column + p - g->pad;
            float *to = out + p * each + 3 * i * channels;
            if (y >= 0 && y < g->height && left >= 0 && left + 3 <= g->width)
                memcpy(to, x + (y * g->width + left) * channels, sizeof(float) * 3 * (size_t)channels);
            else
                for (long j = 0; j < 3; j++)
                    for (long c = 0; c < channels; c++) {
                        int there = y >= 0 && y < g->height && left + j >= 0 && left + j < g->width;
                        to[j * channels + c] =
                            there ? x[(y * g->width + left + j) * channels + c] : 0;
                    }
        }
}

/* As impasto_conv, with u (depth = 9 * channels, out_channels) in panels, not transformed. */
int impasto_thin(const conv_args *g) {
    long wide = (g->out_channels + LANES - 1) / LANES * LANES, rows = g->batch * g->out_height;
    int failed = 0;
#pragma omp parallel num_threads(g->threads)
    {
        float *work = malloc(sizeof(float) * STRIP * (size_t)(9 * g->channels + wide));
        float *found = work + STRIP * 9 * g->channels;
        if (!work) failed = 1;
#pragma omp for schedule(static)
        for (long at = 0; at < rows; at++) {
            if (!work) continue;
            const float *x = g->x + at / g->out_height * g->height * g->width * g->channels;
            for (long column = 0; column < g->out_width; column += STRIP) {
                long left = g->out_width - column;
                int count = left < STRIP ? (int)left : STRIP;
                patches(g, x, at % g->out_height, column, count, work);
                multiply(count, work, 9 * g->channels, g->index, (int)g->depth, g->u, (int)wide,
                         found, wide);
                for (int p = 0; p < count; p++)
                    for (int n = 0; n < g->out_channels; n += LANES) {
                        int lanes = g->out_channels - n < LANES ? (int)g->out_channels - n : LANES;
                        vec value = *(vec *)(found + p * wide + n);
                        if (g->bias) value += load(g->bias + n, lanes);
                        if (g->relu) value = positive(value);
                        long pixel = at * g->out_width + column + p;
                        store(g->y + pixel * g->out_channels + n, value, lanes);
                        if (g->signs)
                            sign(g->signs + pixel * SIGN_BYTES(g->out_channels), n, value, lanes);
                    }
            }
        }
        free(work);
    }
    return failed;
}

/* What one row of slopes (row of x) hands to the nine positions around each: (width, wide). */
static void spread(const conv_args *g, const float *x, const uint8_t *mask, long wide, float *work,
                   float *out) {
    long channels = g->channels, bytes = SIGN_BYTES(channels);
    for (long column = 0; column < g->width; column += STRIP) {
        int count = g->width - column < STRIP ? (int)(g->width - column) : STRIP;
        const float *from = x + column * channels;
        if (mask) {
            for (int p = 0; p < count; p++)
                for (long c = 0; c < channels; c += LANES) {
                    int lanes = channels - c < LANES ? (int)(channels - c) : LANES;
                    long e = p * channels + c;
                    vec values = load(from + e, lanes);
                    store(work + e, chosen(values, mask + (column + p) * bytes, c, lanes), lanes);
                }
            from = work;
        }
        multiply(count, from, channels, g->index, (int)g->depth, g->u, (int)wide,
                 out + column * wide, wide);
    }
}

/* The gradient of impasto_thin: x are the slopes, u (channels, 9 * out_channels) in panels, pad
 * is that of the forward pass. */
int impasto_thin_back(const conv_args *g) {
    long wide = (9 * g->out_channels + LANES - 1) / LANES * LANES;
    long slab = g->width * wide, rows = g->batch * g->out_height;
    int failed = 0;
#pragma omp parallel num_threads(g->threads)
    {
        float *work = malloc(sizeof(float) * (size_t)(STRIP * g->channels + 3 * slab));
        float *ring = work + STRIP * g->channels;
        long held[3] = {-1, -1, -1}; /* which row of all slopes a slab of the ring holds */
        if (!work) failed = 1;
#pragma omp for schedule(static)
        for (long at = 0; at < rows; at++) {
            if (!work) continue;
            long sample = at / g->out_height, row = at % g->out_height;
            float *y = g->y + at * g->out_width * g->out_channels;
            memset(y, 0, sizeof(float) * (size_t)(g->out_width * g->out_channels));
            for (long i = 0; i < 3; i++) {
                long from = row - i + g->pad, which = sample * g->height + from;
                if (from < 0 || from >= g->height) continue;
                float *found = ring + from % 3 * slab;
                if (held[from % 3] != which) {
                    long first = which * g->width;
                    spread(g, g->x + first * g->channels,
                           g->mask ? g->mask + first * SIGN_BYTES(g->channels) : 0, wide, work,
                           found);
                    held[from % 3] = which;
                }
                for (long column = 0; column < g->out_width; column++)
                    for (long j = 0; j < 3; j++) {
                        long s = column - j + g->pad;
                        if (s < 0 || s >= g->width) continue;
                        const float *part = found + s * wide + (3 * i + j) * g->out_channels;
                        for (long c = 0; c < g->out_channels; c++)
                            y[column * g->out_channels + c] += part[c];
                    }
            }
        }
        free(work);
    }
    return failed;
}
