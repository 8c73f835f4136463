/* Time of each stage of the frontend's vector form, for many windows at once and for one alone: counts of the time
 * stamp counter a window, and shares of the whole.
 *
 *   gcc -O3 -DNDEBUG -ffp-contract=off -mavx2 -mavx512f -mavx512bw -mavx512dq -mavx512cd -mavx512vl \
 *     -Isrc/mltk/native/frontend -Isrc/mltk/native/frontend_vector benchmarks/frontend_stages.c \
 *     src/mltk/native/frontend/[a-z]*.c -lm -o /tmp/stages && taskset -c 1 /tmp/stages
 *
 * With -DFORM_AVX2 and -mavx2 alone for that form. Best of many repetitions, so that other programs do not count. One
 * window's stages overlap in the processor: their sum is a little more than the window takes, which stands beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mltk_fe_setup.h"
/* clang-format off: the operations before the stages that are made of them. */
#ifdef FORM_AVX2
#include "vector_avx2.h"
#else
#include "vector_avx512.h"
#endif
#include "vector_whole.h"
/* clang-format on */

#define REPETITIONS 20000
#define MOST_STAGES 5

typedef struct {
  mltk_fe_tables tables;
  void *plan, *scratch;
  const int16_t *windows[LANES];
  uint16_t *features;
  mltk_fe_state state;
} machine;

/* Runs one stage after the other; notes the counter before and after each. */
typedef void (*stages)(machine *, uint64_t at[MOST_STAGES + 1]);

static uint64_t now(void) {
  uint64_t count;
  __builtin_ia32_lfence();
  count = __builtin_ia32_rdtsc();
  __builtin_ia32_lfence();
  return count;
}

static const char *const lanes_names[] = {"window", "FFT", "energy, filterbank, square root", "transpose",
                                          "noise reduction, PCAN, log"};
static void lanes_stages(machine *m, uint64_t *at) {
  const scratch_data *const data = m->scratch;
  uint32_t shift[LANES], channel;
  at[0] = now();
  window_lanes(&m->tables, m->plan, data, m->windows, shift);
  at[1] = now();
  fft_lanes(&m->tables, m->plan, data);
  at[2] = now();
  filter_lanes(&m->tables.filterbank, m->plan, data, shift);
  at[3] = now();
  for (channel = 0; channel < padded_channels(&m->tables); channel += LANES) {
    transpose(data->signal + (size_t)channel * LANES, LANES, data->window + channel, padded_channels(&m->tables), NULL);
  }
  at[4] = now();
  finish_rows(&m->tables, m->plan, data, 0, LANES, m->features);
  at[5] = now();
}

static const char *const alone_names[] = {"window", "FFT", "filterbank, square root", "noise reduction, PCAN, log"};
static void alone_stages(machine *m, uint64_t *at) {
  const scratch_data *const data = m->scratch;
  uint32_t shift;
  at[0] = now();
  shift = window_row(m->plan, m->tables.window.size, m->windows[0], data->samples);
  at[1] = now();
  fft_alone(&m->tables.fft, m->plan, data, shift);
  at[2] = now();
  filter_alone(&m->tables, m->plan, data, shift);
  at[3] = now();
  finish_rows(&m->tables, m->plan, data, 0, 1, m->features);
  at[4] = now();
}

static void lanes_whole(machine *m, uint64_t *at) {
  at[0] = now();
  process_windows(&m->tables, m->plan, m->scratch, &m->state, m->windows[0], LANES, m->features);
  at[1] = now();
}

static void alone_whole(machine *m, uint64_t *at) {
  at[0] = now();
  process_windows(&m->tables, m->plan, m->scratch, &m->state, m->windows[0], 1, m->features);
  at[1] = now();
}

/* The least counts of each stage. */
static void least_of(machine *m, stages run, uint32_t n_stages, uint64_t *best) {
  uint64_t at[MOST_STAGES + 1];
  uint32_t i, stage;
  for (stage = 0; stage < n_stages; ++stage) {
    best[stage] = UINT64_MAX;
  }
  for (i = 0; i < REPETITIONS; ++i) {
    run(m, at);
    for (stage = 0; stage < n_stages; ++stage) {
      const uint64_t taken = at[stage + 1] - at[stage];
      best[stage] = taken < best[stage] ? taken : best[stage];
    }
  }
}

static void report(machine *m, const char *title, stages run, const char *const *names, uint32_t n_stages, stages whole,
                   uint32_t windows) {
  uint64_t best[MOST_STAGES], all[MOST_STAGES], total = 0;
  uint32_t i;
  least_of(m, run, n_stages, best);
  least_of(m, whole, 1, all);
  for (i = 0; i < n_stages; ++i) {
    total += best[i];
  }
  printf("  %s: %.0f counts a window (stages %.0f)\n", title, (double)all[0] / windows, (double)total / windows);
  for (i = 0; i < n_stages; ++i) {
    printf("    %-32s %6.1f  %4.1f %%\n", names[i], (double)best[i] / windows, 100.0 * (double)best[i] / (double)total);
  }
}

static void *get(size_t bytes) {
  void *const memory = aligned_alloc(MLTK_FE_VECTOR_ALIGNMENT, BYTES(bytes));
  if (memory == NULL) {
    exit(2);
  }
  return memory;
}

static void measure(uint32_t step_ms, uint32_t channels, uint32_t pcan) {
  mltk_fe_settings settings = {.sample_rate_hz = 16000,
                               .window_size = 480,
                               .window_step = 16 * step_ms,
                               .filterbank_n_channels = channels,
                               .filterbank_upper_band_limit = 7500.0f,
                               .filterbank_lower_band_limit = 125.0f,
                               .noise_reduction_enable = 1,
                               .noise_reduction_smoothing_bits = 10,
                               .noise_reduction_even_smoothing = 0.025f,
                               .noise_reduction_odd_smoothing = 0.06f,
                               .noise_reduction_min_signal_remaining = 0.05f,
                               .pcan_enable = pcan,
                               .pcan_strength = 0.95f,
                               .pcan_offset = 80.0f,
                               .pcan_gain_bits = 21,
                               .log_scale_enable = 1,
                               .log_scale_shift = 6};
  const size_t n = 480 + 160 * 20 * LANES;
  int16_t *const samples = get(n * sizeof(int16_t));
  machine m;
  size_t i;
  if (mltk_fe_setup(&settings, get(mltk_fe_tables_bytes(&settings)), mltk_fe_tables_bytes(&settings), &m.tables) !=
          MLTK_FE_OK ||
      mltk_fe_init(&m.tables, get(mltk_fe_state_bytes(&m.tables)), mltk_fe_state_bytes(&m.tables), &m.state) !=
          MLTK_FE_OK) {
    exit(2);
  }
  m.features = get(LANES * channels * sizeof(uint16_t));
  m.plan = get(plan_bytes(&m.tables));
  m.scratch = get(scratch_bytes(&m.tables));
  make_plan(&m.tables, m.plan);
  make_scratch(&m.tables, m.scratch);
  for (i = 0; i < n; ++i) {
    samples[i] = (int16_t)(rand() % 18000 - 9000);
  }
  for (i = 0; i < LANES; ++i) {
    m.windows[i] = samples + i * settings.window_step;
  }
  printf("%u channels%s\n", channels, pcan ? ", PCAN" : "");
  report(&m, "many windows", lanes_stages, lanes_names, 5, lanes_whole, LANES);
  report(&m, "one window", alone_stages, alone_names, 4, alone_whole, 1);
}

int main(void) {
  measure(20, 40, 1);
  measure(10, 108, 0);
  return 0;
}
