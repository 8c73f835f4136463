/* Time of each stage of the frontend's vector form, in cycles of the time stamp counter and share of the whole.
 *
 *   gcc -O3 -DNDEBUG -ffp-contract=off -mavx2 -mavx512f -mavx512bw -mavx512dq -mavx512cd -mavx512vl \
 *     -Isrc/mltk/native/frontend -Isrc/mltk/native/frontend_vector -Ibenchmarks benchmarks/frontend_stages.c \
 *     src/mltk/native/frontend/[a-z]*.c -lm -o /tmp/stages && taskset -c 1 /tmp/stages
 *
 * With -DFORM_AVX2 and -mavx2 alone for that form. Best of many repetitions, so that other programs do not count.
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
#include "vector_stages.h"
/* clang-format on */

#define REPETITIONS 20000
#define N_STAGES 5

static const char *const names[N_STAGES] = {"window", "FFT", "energy, filterbank, square root", "transpose",
                                            "noise reduction, PCAN, log"};

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
  uint64_t best[N_STAGES], total = 0;
  int16_t *const samples = get((480 + 160 * 20 * LANES) * sizeof(int16_t));
  uint16_t *const features = get(LANES * channels * sizeof(uint16_t));
  const int16_t *windows[LANES];
  uint32_t shift[LANES], i, channel;
  mltk_fe_tables tables;
  void *plan, *scratch;
  if (mltk_fe_setup(&settings, get(mltk_fe_tables_bytes(&settings)), mltk_fe_tables_bytes(&settings), &tables) !=
      MLTK_FE_OK) {
    exit(2);
  }
  plan = get(plan_bytes(&tables));
  scratch = get(scratch_bytes(&tables));
  make_plan(&tables, plan);
  make_scratch(&tables, scratch);
  for (i = 0; i < 480 + 160 * 20 * LANES; ++i) {
    samples[i] = (int16_t)(rand() % 18000 - 9000);
  }
  for (i = 0; i < LANES; ++i) {
    windows[i] = samples + (size_t)i * settings.window_step;
  }
  for (i = 0; i < N_STAGES; ++i) {
    best[i] = UINT64_MAX;
  }
  for (i = 0; i < REPETITIONS; ++i) {
    uint64_t at[N_STAGES + 1];
    const scratch_data *const data = scratch;
    uint32_t stage;
    at[0] = __builtin_ia32_rdtsc();
    window_lanes(&tables, plan, data, windows, shift);
    at[1] = __builtin_ia32_rdtsc();
    fft_lanes(&tables, plan, data);
    at[2] = __builtin_ia32_rdtsc();
    filter_lanes(&tables.filterbank, plan, data, shift);
    at[3] = __builtin_ia32_rdtsc();
    for (channel = 0; channel < padded_channels(&tables); channel += LANES) {
      transpose(data->signal + (size_t)channel * LANES, LANES, data->window + channel, padded_channels(&tables), NULL);
    }
    at[4] = __builtin_ia32_rdtsc();
    finish_rows(&tables, plan, data, 0, LANES, features);
    at[5] = __builtin_ia32_rdtsc();
    for (stage = 0; stage < N_STAGES; ++stage) {
      const uint64_t taken = at[stage + 1] - at[stage];
      best[stage] = taken < best[stage] ? taken : best[stage];
    }
  }
  for (i = 0; i < N_STAGES; ++i) {
    total += best[i];
  }
  printf("%u channels%s: %.0f counts a window\n", channels, pcan ? ", PCAN" : "", (double)total / LANES);
  for (i = 0; i < N_STAGES; ++i) {
    printf("  %-32s %6.1f  %4.1f %%\n", names[i], (double)best[i] / LANES, 100.0 * (double)best[i] / (double)total);
  }
}

int main(void) {
  measure(20, 40, 1);
  measure(10, 108, 0);
  return 0;
}
