/* Mel channels: which bins lie between which centres, and with what weight. Float where TensorFlow's op has float. */
#include <math.h>

#include "mltk_fe_setup_stages.h"

static float mel(float hz) { return (float)(1127.0 * log1p((double)hz / 700.0)); }

typedef struct {
  float lowest;
  float spacing;
} mel_scale;

/* The upper edge of interval `i`: channel i's centre counted from -1, so that centre(0) is the first channel's start.
 */
static float centre(const mel_scale *scale, uint32_t i) {
  const float distance = scale->spacing * (float)(i + 1);
  return scale->lowest + distance;
}

static int16_t quantize(double weight) { return (int16_t)floor(weight * (double)(1 << MLTK_FE_FILTERBANK_BITS) + 0.5); }

static int bands_are_legal(const mltk_fe_settings *settings) {
  const double upper = (double)settings->filterbank_upper_band_limit;
  const double lower = (double)settings->filterbank_lower_band_limit;
  return lower >= 0.0 && lower < upper && upper <= 0.5 * (double)settings->sample_rate_hz;
}

mltk_fe_status mltk_fe_filterbank_setup(const mltk_fe_settings *settings, uint32_t half,
                                        mltk_fe_filterbank_tables *tables, uint16_t *widths, mltk_fe_weight *weights) {
  const float hz_per_bin = (float)(0.5 * (double)settings->sample_rate_hz / (double)(float)half);
  const uint32_t channels = settings->filterbank_n_channels;
  mel_scale scale;
  float span;
  uint32_t interval, bin;
  if (!bands_are_legal(settings)) {
    return MLTK_FE_ERROR_BANDS;
  }
  scale.lowest = mel(settings->filterbank_lower_band_limit);
  span = mel(settings->filterbank_upper_band_limit) - scale.lowest;
  scale.spacing = span / (float)(channels + 1);

  tables->n_channels = channels;
  /* From the lower limit on, but never DC. */
  tables->start_bin = (uint32_t)(1.5 + (double)(settings->filterbank_lower_band_limit / hz_per_bin));
  bin = tables->start_bin;
  for (interval = 0; interval <= channels; ++interval) {
    const float high = centre(&scale, interval);
    const float low = interval == 0 ? scale.lowest : centre(&scale, interval - 1);
    const uint32_t first = bin;
    /* Where the upper limit is half the rate, rounding must not run past the last bin. */
    for (; bin <= half; ++bin) {
      const float hz = (float)bin * hz_per_bin;
      const float position = mel(hz);
      float weight;
      if (!(position <= high)) {
        break;
      }
      weight = (high - position) / (high - low);
      weights[bin - tables->start_bin].upper = quantize((double)weight);
      weights[bin - tables->start_bin].lower = quantize(1.0 - (double)weight);
    }
    widths[interval] = (uint16_t)(bin - first);
  }
  tables->end_bin = bin;
  return MLTK_FE_OK;
}
