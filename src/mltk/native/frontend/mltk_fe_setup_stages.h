/* Set-up of the single stages, for frontend_setup.c. Each fills arrays that the caller laid out. */
#ifndef MLTK_FE_SETUP_STAGES_H
#define MLTK_FE_SETUP_STAGES_H

#include "mltk_fe_setup.h"
#include "mltk_fe_stages.h"

/* The tables must not depend on the compiler: no fused multiply-add. GCC has it off in ISO C mode. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#define MLTK_FE_PI 3.14159265358979323846
/* ln(2^32) * 2^12 is already more than 16 bits hold. */
#define MLTK_FE_MAX_LOG_SHIFT 12

void mltk_fe_window_setup(uint32_t size, int16_t *coefficients);

uint32_t mltk_fe_fft_half(uint32_t window_size);
uint32_t mltk_fe_fft_first_radix(uint32_t half);
void mltk_fe_fft_setup(uint32_t half, uint16_t *order, mltk_fe_twiddle *twiddles, mltk_fe_twiddle *split);

/* `weights` has room for half + 1 bins. Sets the bins' range in `tables`. */
mltk_fe_status mltk_fe_filterbank_setup(const mltk_fe_settings *settings, uint32_t half,
                                        mltk_fe_filterbank_tables *tables, uint16_t *widths, mltk_fe_weight *weights);

mltk_fe_status mltk_fe_dc_notch_setup(const mltk_fe_settings *settings, mltk_fe_dc_notch_tables *tables);
mltk_fe_status mltk_fe_activity_setup(const mltk_fe_settings *settings, mltk_fe_activity_tables *tables);
mltk_fe_status mltk_fe_noise_setup(const mltk_fe_settings *settings, mltk_fe_noise_tables *tables);
mltk_fe_status mltk_fe_pcan_setup(const mltk_fe_settings *settings, int32_t correction_bits,
                                  mltk_fe_pcan_tables *tables, int16_t *gain_lut);
mltk_fe_status mltk_fe_log_setup(const mltk_fe_settings *settings, int32_t correction_bits, mltk_fe_log_tables *tables,
                                 uint16_t *segments);

/* Whether `value` lies in [low, high]; a NaN does not. */
static inline int mltk_fe_within(double value, double low, double high) { return value >= low && value <= high; }

#endif
