// Python's view of the audio frontend. Checks with a friendly sentence are made in mltk.frontend; what is checked here
// again keeps a wrong call from reading outside an array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "mltk_fe.h"
#include "mltk_fe_setup.h"
#include "mltk_fe_stages.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Samples = nb::ndarray<const int16_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Clips = nb::ndarray<const int16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Features = nb::ndarray<uint16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using FeatureBatch = nb::ndarray<uint16_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using RawFeatures = nb::ndarray<const uint16_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Int8Features = nb::ndarray<int8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Memory with the alignment that the core asks for.
using Memory = std::unique_ptr<uint64_t[]>;
static_assert(alignof(uint64_t) >= MLTK_FE_ALIGNMENT || sizeof(uint64_t) == MLTK_FE_ALIGNMENT, "alignment");

Memory allocate(size_t bytes) { return Memory(new uint64_t[bytes / sizeof(uint64_t) + 1]()); }

const char *text_of(mltk_fe_status status) {
  switch (status) {
    case MLTK_FE_ERROR_WINDOW:
      return "the window or its step is illegal";
    case MLTK_FE_ERROR_BANDS:
      return "the band limits are illegal";
    case MLTK_FE_ERROR_CHANNELS:
      return "the number of channels is illegal";
    case MLTK_FE_ERROR_RANGE:
      return "a setting is out of range";
    default:
      return "the frontend could not be set up";
  }
}

// Audio that runs through the tables: one stream, or one clip.
class State {
 public:
  explicit State(const mltk_fe_tables &tables) : memory_(allocate(mltk_fe_state_bytes(&tables))) {
    if (mltk_fe_init(&tables, memory_.get(), mltk_fe_state_bytes(&tables), &state_) != MLTK_FE_OK) {
      throw std::runtime_error("the frontend's memory could not be laid out");
    }
  }
  mltk_fe_state *get() { return &state_; }

 private:
  Memory memory_;
  mltk_fe_state state_{};
};

template <typename T>
nb::list list_of(const T *values, size_t n) {
  nb::list list;
  for (size_t i = 0; i < n; ++i) list.append(values[i]);
  return list;
}

// Pairs of int16, one after the other.
template <typename Pair>
nb::list list_of_pairs(const Pair *pairs, size_t n) {
  static_assert(sizeof(Pair) == 2 * sizeof(int16_t), "two numbers without a gap");
  return list_of(reinterpret_cast<const int16_t *>(pairs), 2 * n);
}

class Frontend {
 public:
  explicit Frontend(const mltk_fe_settings &settings) : memory_(allocate(mltk_fe_tables_bytes(&settings))) {
    const auto status = mltk_fe_setup(&settings, memory_.get(), mltk_fe_tables_bytes(&settings), &tables_);
    if (status != MLTK_FE_OK) {
      throw std::invalid_argument(text_of(status));
    }
    stream_ = std::make_unique<State>(tables_);
  }

  void reset() { mltk_fe_reset(&tables_, stream_->get()); }

  // Everything that the hot path reads, for firmware that has it as constant data: names as in mltk_fe_tables.
  nb::dict tables() const {
    const auto &t = tables_;
    nb::dict all;
    all["dc_notch.enable"] = t.dc_notch.enable;
    all["dc_notch.coefficient"] = t.dc_notch.coefficient;
    all["window.size"] = t.window.size;
    all["window.step"] = t.window.step;
    all["window.coefficients"] = list_of(t.window.coefficients, t.window.size);
    all["fft.half"] = t.fft.half;
    all["fft.first_radix"] = t.fft.first_radix;
    all["fft.order"] = list_of(t.fft.order, t.fft.half / t.fft.first_radix);
    all["fft.twiddles"] = list_of_pairs(t.fft.twiddles, t.fft.half - t.fft.first_radix);
    all["fft.split"] = list_of_pairs(t.fft.split, t.fft.half / 2);
    all["filterbank.n_channels"] = t.filterbank.n_channels;
    all["filterbank.start_bin"] = t.filterbank.start_bin;
    all["filterbank.end_bin"] = t.filterbank.end_bin;
    all["filterbank.widths"] = list_of(t.filterbank.widths, t.filterbank.n_channels + 1);
    all["filterbank.weights"] = list_of_pairs(t.filterbank.weights, t.filterbank.end_bin - t.filterbank.start_bin);
    all["activity.enable"] = t.activity.enable;
    all["activity.shift"] = t.activity.shift;
    all["activity.alpha_a"] = t.activity.alpha_a;
    all["activity.alpha_b"] = t.activity.alpha_b;
    all["activity.arm_threshold"] = t.activity.arm_threshold;
    all["activity.trip_threshold"] = t.activity.trip_threshold;
    all["noise.enable"] = t.noise.enable;
    all["noise.smoothing_bits"] = t.noise.smoothing_bits;
    all["noise.smoothing"] = list_of(t.noise.smoothing, 2);
    all["noise.min_signal_remaining"] = t.noise.min_signal_remaining;
    all["pcan.enable"] = t.pcan.enable;
    all["pcan.snr_shift"] = t.pcan.snr_shift;
    all["pcan.gain_lut"] = list_of(t.pcan.gain_lut, MLTK_FE_PCAN_LUT_SIZE);
    all["log.enable"] = t.log.enable;
    all["log.scale_shift"] = t.log.scale_shift;
    all["log.correction_bits"] = t.log.correction_bits;
    all["log.segments"] = list_of(t.log.segments, MLTK_FE_LOG_SEGMENTS + 1);
    all["quantize.dynamic"] = t.quantize.dynamic;
    all["quantize.range"] = t.quantize.range;
    return all;
  }

  // How many rows `process` gives for so many more samples.
  size_t frames_after(size_t n_samples) const {
    const size_t available = stream_used() + n_samples;
    return available < tables_.window.size ? 0 : (available - tables_.window.size) / tables_.window.step + 1;
  }

  void process(Samples samples, Features features) {
    if (features.shape(0) != frames_after(samples.shape(0)) || features.shape(1) != tables_.filterbank.n_channels) {
      throw std::invalid_argument("the features have the wrong shape");
    }
    const int16_t *next = samples.data();
    size_t left = samples.shape(0);
    uint16_t *row = features.data();
    while (left != 0) {
      // A row more than was counted can not come: `row` never passes the array's end.
      size_t taken = 0;
      if (mltk_fe_process(&tables_, stream_->get(), next, left, &taken, row) != 0) {
        row += tables_.filterbank.n_channels;
      }
      next += taken;
      left -= taken;
    }
  }

  bool activity_was_detected() { return mltk_fe_activity_was_detected(stream_->get()) != 0; }

  // Each clip from a fresh state; returns whether activity was detected in any of them.
  bool process_clips(Clips clips, FeatureBatch features, size_t threads) const {
    const size_t n = clips.shape(0), length = clips.shape(1);
    const size_t frames = length < tables_.window.size ? 0 : (length - tables_.window.size) / tables_.window.step + 1;
    if (features.shape(0) != n || features.shape(1) != frames || features.shape(2) != tables_.filterbank.n_channels) {
      throw std::invalid_argument("the features have the wrong shape");
    }
    const int16_t *samples = clips.data();
    uint16_t *rows = features.data();
    nb::gil_scoped_release release;
    threads = std::max<size_t>(1, std::min(threads, n));
    std::vector<char> detected(threads, 0);
    const auto work = [&](size_t worker, State &state, std::vector<int16_t> &filtered) {
      for (size_t i = worker; i < n; i += threads) {
        mltk_fe_reset(&tables_, state.get());
        const int16_t *clip = samples + i * length;
        if (tables_.dc_notch.enable != 0) {
          mltk_fe_dc_notch(&tables_, state.get(), clip, length, filtered.data());
          clip = filtered.data();
        }
        mltk_fe_process_clip(&tables_, state.get(), clip, frames, rows + i * frames * tables_.filterbank.n_channels);
        if (mltk_fe_activity_was_detected(state.get()) != 0) detected[worker] = 1;
      }
    };
    run(threads, length, work);
    return std::any_of(detected.begin(), detected.end(), [](char flag) { return flag != 0; });
  }

 private:
  size_t stream_used() const { return stream_->get()->used; }

  // All memory is taken here, before a thread starts, so that nothing can be thrown inside one.
  template <typename Work>
  void run(size_t threads, size_t length, const Work &work) const {
    std::vector<std::unique_ptr<State>> states;
    std::vector<std::vector<int16_t>> filtered(threads);
    for (size_t worker = 0; worker < threads; ++worker) {
      states.push_back(std::make_unique<State>(tables_));
      if (tables_.dc_notch.enable != 0) filtered[worker].resize(length);
    }
    std::vector<std::thread> pool;
    pool.reserve(threads);
    size_t started = 1;
    try {
      for (; started < threads; ++started) {
        pool.emplace_back([&, started] { work(started, *states[started], filtered[started]); });
      }
    } catch (const std::system_error &) {
      // No more threads to have: this one does their share below.
    }
    work(0, *states[0], filtered[0]);
    for (size_t worker = started; worker < threads; ++worker) work(worker, *states[worker], filtered[worker]);
    for (auto &thread : pool) thread.join();
  }

  Memory memory_;
  mltk_fe_tables tables_{};
  std::unique_ptr<State> stream_;
};

void quantize(const mltk_fe_settings &settings, RawFeatures features, Int8Features output) {
  mltk_fe_quantize_tables tables{};
  if (features.shape(0) != output.shape(0)) throw std::invalid_argument("the output has the wrong length");
  const auto status = mltk_fe_quantize_setup(&settings, &tables);
  if (status != MLTK_FE_OK) throw std::invalid_argument(text_of(status));
  mltk_fe_quantize(&tables, features.data(), features.shape(0), output.data());
}

}  // namespace

NB_MODULE(_frontend, m) {
  m.attr("LANES") = MLTK_FE_LANES;

  nb::class_<mltk_fe_settings>(m, "Settings")
      .def("__init__", [](mltk_fe_settings *self) { new (self) mltk_fe_settings{}; })
#define SETTING(name) .def_rw(#name, &mltk_fe_settings::name)
          SETTING(sample_rate_hz) SETTING(dc_notch_filter_enable) SETTING(dc_notch_filter_coefficient)
              SETTING(window_size) SETTING(window_step) SETTING(filterbank_n_channels)
                  SETTING(filterbank_upper_band_limit) SETTING(filterbank_lower_band_limit)
                      SETTING(activity_detection_enable) SETTING(activity_detection_alpha_a)
                          SETTING(activity_detection_alpha_b) SETTING(activity_detection_arm_threshold)
                              SETTING(activity_detection_trip_threshold) SETTING(noise_reduction_enable)
                                  SETTING(noise_reduction_smoothing_bits) SETTING(noise_reduction_even_smoothing)
                                      SETTING(noise_reduction_odd_smoothing)
                                          SETTING(noise_reduction_min_signal_remaining) SETTING(pcan_enable)
                                              SETTING(pcan_strength) SETTING(pcan_offset) SETTING(pcan_gain_bits)
                                                  SETTING(log_scale_enable) SETTING(log_scale_shift)
                                                      SETTING(quantize_dynamic_scale_enable)
                                                          SETTING(quantize_dynamic_scale_range_db);
#undef SETTING

  nb::class_<Frontend>(m, "Frontend")
      .def(nb::init<const mltk_fe_settings &>(), "settings"_a)
      .def("reset", &Frontend::reset)
      .def("tables", &Frontend::tables)
      .def("frames_after", &Frontend::frames_after, "n_samples"_a)
      .def("process", &Frontend::process, "samples"_a.noconvert(), "features"_a.noconvert())
      .def("activity_was_detected", &Frontend::activity_was_detected)
      .def("process_clips", &Frontend::process_clips, "clips"_a.noconvert(), "features"_a.noconvert(), "threads"_a = 1);

  m.def("quantize", &quantize, "settings"_a, "features"_a.noconvert(), "output"_a.noconvert());
}
