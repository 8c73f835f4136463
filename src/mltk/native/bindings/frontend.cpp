// Python's view of the audio frontend. Checks with a friendly sentence are made in mltk.frontend; what is checked here
// again keeps a wrong call from reading outside an array.
#define NPY_NO_DEPRECATED_API NPY_1_25_API_VERSION
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <numpy/arrayobject.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "mltk_fe.h"
#include "mltk_fe_setup.h"
#include "mltk_fe_stages.h"
#include "mltk_fe_vector.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Clips = nb::ndarray<const int16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using FeatureBatch = nb::ndarray<uint16_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using RawFeatures = nb::ndarray<const uint16_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Int8Features = nb::ndarray<int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

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

// The form that is taken where none is named: that of the environment, else the fastest.
constexpr const char *kFormVariable = "MLTK_FRONTEND";
// One window after the other, as on a chip.
constexpr const char *kScalar = "scalar";

// A form by its name, "" for the fastest; NULL for the scalar one.
const mltk_fe_vector_form *form_of(const std::string &name) {
  const mltk_fe_vector_form *forms[3];
  const size_t n = mltk_fe_vector_forms(forms);
  if (name == kScalar) return nullptr;
  if (name.empty()) return n == 0 ? nullptr : forms[0];
  std::string names = kScalar;
  for (size_t i = 0; i < n; ++i) {
    if (name == forms[i]->name) return forms[i];
    names = std::string(forms[i]->name) + ", " + names;
  }
  throw std::invalid_argument("this machine has the forms " + names + ", not \"" + name + "\"");
}

// Memory for the vectors' plan and scratch.
class AlignedMemory {
 public:
  explicit AlignedMemory(size_t bytes) : data_(::operator new(bytes, alignment())) { std::memset(data_, 0, bytes); }
  AlignedMemory(const AlignedMemory &) = delete;
  AlignedMemory &operator=(const AlignedMemory &) = delete;
  ~AlignedMemory() { ::operator delete(data_, alignment()); }
  void *get() const { return data_; }

 private:
  static constexpr std::align_val_t alignment() { return std::align_val_t(MLTK_FE_VECTOR_ALIGNMENT); }
  void *data_;
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
  explicit Frontend(const mltk_fe_settings &settings, const std::string &form, nb::object convert)
      : memory_(allocate(mltk_fe_tables_bytes(&settings))), form_(form_of(form)), convert_(std::move(convert)) {
    const auto status = mltk_fe_setup(&settings, memory_.get(), mltk_fe_tables_bytes(&settings), &tables_);
    if (status != MLTK_FE_OK) {
      throw std::invalid_argument(text_of(status));
    }
    stream_ = std::make_unique<State>(tables_);
    if (form_ != nullptr) {
      plan_ = std::make_unique<AlignedMemory>(form_->plan_bytes(&tables_));
      form_->make_plan(&tables_, plan_->get());
      fewest_windows_ = form_->fewest_windows(plan_->get());
    }
  }

  const char *form() const { return form_ == nullptr ? kScalar : form_->name; }

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

  // The rows that the next chunk of the stream completes, uint16 [rows, channels]. What is no int16 [n] as it lies in
  // memory goes through `convert` first; without one, None is returned. A stream calls this every few milliseconds:
  // numpy's own interface costs a fraction of nanobind's.
  nb::object process(nb::handle chunk) {
    if (is_plain(chunk)) return process_plain(chunk);
    if (convert_.is_none()) return nb::none();
    const nb::object converted = convert_(chunk);
    return is_plain(converted) ? process_plain(converted) : nb::none();
  }

  static bool is_plain(nb::handle chunk) {
    if (!PyArray_Check(chunk.ptr())) return false;
    auto *const array = reinterpret_cast<PyArrayObject *>(chunk.ptr());
    return PyArray_NDIM(array) == 1 && PyArray_TYPE(array) == NPY_INT16 && PyArray_ISCARRAY_RO(array);
  }

  nb::object process_plain(nb::handle chunk) {
    auto *const array = reinterpret_cast<PyArrayObject *>(chunk.ptr());
    const auto *const samples = static_cast<const int16_t *>(PyArray_DATA(array));
    const auto n = static_cast<size_t>(PyArray_DIM(array, 0));
    const size_t rows = frames_after(n);
    npy_intp shape[2] = {static_cast<npy_intp>(rows), static_cast<npy_intp>(tables_.filterbank.n_channels)};
    auto features = nb::steal(PyArray_SimpleNew(2, shape, NPY_UINT16));
    if (!features.is_valid()) throw nb::python_error();
    auto *const row = static_cast<uint16_t *>(PyArray_DATA(reinterpret_cast<PyArrayObject *>(features.ptr())));
    if (form_ != nullptr) {
      process_vectors(samples, n, rows, row);
    } else {
      process_scalar(samples, n, row);
    }
    return features;
  }

  bool activity_was_detected() { return mltk_fe_activity_was_detected(stream_->get()) != 0; }

  // Each clip from a fresh state; returns whether activity was detected in any of them.
  bool process_clips(Clips clips, FeatureBatch features, size_t threads) const {
    const size_t n = clips.shape(0), length = clips.shape(1);
    const size_t frames = length < tables_.window.size ? 0 : (length - tables_.window.size) / tables_.window.step + 1;
    if (features.shape(0) != n || features.shape(1) != frames || features.shape(2) != tables_.filterbank.n_channels) {
      throw std::invalid_argument("the features have the wrong shape");
    }
    const mltk_fe_vector_clips all = {clips.data(), n, length, frames, features.data()};
    nb::gil_scoped_release release;
    threads = std::max<size_t>(1, std::min(threads, n));
    std::vector<char> detected(threads, 0);
    run(threads, length, [&](size_t worker, Worker &own) {
      const size_t begin = n * worker / threads, end = n * (worker + 1) / threads;
      detected[worker] = process_part(own, part_of(all, begin, end - begin)) ? 1 : 0;
    });
    return std::any_of(detected.begin(), detected.end(), [](char flag) { return flag != 0; });
  }

 private:
  // How far a stream runs on in its memory before it is moved to the front.
  static constexpr size_t kSpareWindows = 16;
  // Clips whose DC notch is done before their features: few enough to stay in the cache.
  static constexpr size_t kFilteredClips = 16;

  // What one thread needs for clips.
  struct Worker {
    explicit Worker(const Frontend &frontend) : state(frontend.tables_) {
      if (frontend.form_ != nullptr) scratch = frontend.make_scratch();
    }
    State state;
    std::unique_ptr<AlignedMemory> scratch;
    std::vector<int16_t> filtered;
  };

  // How many rows so many more samples of the stream complete.
  size_t frames_after(size_t n_samples) const {
    const size_t available = stream_->get()->used + n_samples;
    return available < tables_.window.size ? 0 : (available - tables_.window.size) / tables_.window.step + 1;
  }

  std::unique_ptr<AlignedMemory> make_scratch() const {
    auto scratch = std::make_unique<AlignedMemory>(form_->scratch_bytes(&tables_));
    form_->make_scratch(&tables_, scratch->get());
    return scratch;
  }

  void process_scalar(const int16_t *next, size_t left, uint16_t *row) {
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

  // Where the stream's samples begin, with room for so many more behind them. They lie one after the other, so that a
  // window needs no copying, and from time to time they are moved to the front.
  int16_t *room_for(size_t n) {
    const size_t used = stream_->get()->used;
    if (samples_ == nullptr || begin_ + used + n > capacity_) {
      const int16_t *const old = samples_ == nullptr ? nullptr : static_cast<int16_t *>(samples_->get()) + begin_;
      if (samples_ == nullptr || used + n > capacity_) {
        const size_t capacity = used + n + kSpareWindows * tables_.window.size;
        auto larger = std::make_unique<AlignedMemory>(capacity * sizeof(int16_t));
        if (used != 0) std::memcpy(larger->get(), old, used * sizeof(int16_t));
        samples_ = std::move(larger);
        capacity_ = capacity;
      } else if (used != 0) {
        std::memmove(samples_->get(), old, used * sizeof(int16_t));
      }
      begin_ = 0;
    }
    return static_cast<int16_t *>(samples_->get()) + begin_;
  }

  void process_vectors(const int16_t *samples, size_t n, size_t rows, uint16_t *features) {
    mltk_fe_state &state = *stream_->get();
    int16_t *const first = room_for(n);
    if (stream_scratch_ == nullptr) stream_scratch_ = make_scratch();
    mltk_fe_dc_notch(&tables_, &state, samples, n, first + state.used);
    if (rows >= fewest_windows_) {
      form_->process_windows(&tables_, plan_->get(), stream_scratch_->get(), &state, first, rows, features);
    } else if (rows != 0) {
      mltk_fe_process_clip(&tables_, &state, first, rows, features);
    }
    begin_ += rows * tables_.window.step;
    state.used = static_cast<uint32_t>(state.used + n - rows * tables_.window.step);
  }

  mltk_fe_vector_clips part_of(const mltk_fe_vector_clips &all, size_t first, size_t n) const {
    return {all.samples + first * all.length, n, all.length, all.n_windows,
            all.features + first * all.n_windows * tables_.filterbank.n_channels};
  }

  // The clips of one thread; returns whether activity was detected.
  bool process_part(Worker &worker, const mltk_fe_vector_clips &clips) const {
    if (tables_.dc_notch.enable == 0) return process_filtered(worker, clips);
    bool detected = false;
    for (size_t first = 0; first < clips.n_clips; first += kFilteredClips) {
      auto part = part_of(clips, first, std::min(kFilteredClips, clips.n_clips - first));
      for (size_t i = 0; i < part.n_clips; ++i) {
        mltk_fe_reset(&tables_, worker.state.get());
        mltk_fe_dc_notch(&tables_, worker.state.get(), part.samples + i * part.length, part.length,
                         worker.filtered.data() + i * part.length);
      }
      part.samples = worker.filtered.data();
      detected |= process_filtered(worker, part);
    }
    return detected;
  }

  bool process_filtered(Worker &worker, const mltk_fe_vector_clips &clips) const {
    if (form_ != nullptr) {
      return form_->process_clips(&tables_, plan_->get(), worker.scratch->get(), &clips) != 0;
    }
    bool detected = false;
    for (size_t i = 0; i < clips.n_clips; ++i) {
      const auto clip = part_of(clips, i, 1);
      mltk_fe_reset(&tables_, worker.state.get());
      mltk_fe_process_clip(&tables_, worker.state.get(), clip.samples, clip.n_windows, clip.features);
      detected |= mltk_fe_activity_was_detected(worker.state.get()) != 0;
    }
    return detected;
  }

  // A worker that an earlier call left, or a new one.
  std::unique_ptr<Worker> borrow() const {
    const std::lock_guard<std::mutex> lock(idle_mutex_);
    if (idle_.empty()) return std::make_unique<Worker>(*this);
    auto worker = std::move(idle_.back());
    idle_.pop_back();
    return worker;
  }

  // All memory is taken here, before a thread starts, so that nothing can be thrown inside one.
  template <typename Work>
  void run(size_t threads, size_t length, const Work &work) const {
    std::vector<std::unique_ptr<Worker>> workers;
    for (size_t i = 0; i < threads; ++i) {
      workers.push_back(borrow());
      if (tables_.dc_notch.enable != 0) workers.back()->filtered.resize(kFilteredClips * length);
    }
    std::vector<std::thread> pool;
    pool.reserve(threads);
    size_t started = 1;
    try {
      for (; started < threads; ++started) {
        pool.emplace_back([&, started] { work(started, *workers[started]); });
      }
    } catch (const std::system_error &) {
      // No more threads to have: this one does their share below.
    }
    work(0, *workers[0]);
    for (size_t i = started; i < threads; ++i) work(i, *workers[i]);
    for (auto &thread : pool) thread.join();
    const std::lock_guard<std::mutex> lock(idle_mutex_);
    if (idle_.empty()) idle_.push_back(std::move(workers[0]));
  }

  Memory memory_;
  mltk_fe_tables tables_{};
  const mltk_fe_vector_form *form_;
  nb::object convert_;
  std::unique_ptr<AlignedMemory> plan_;
  size_t fewest_windows_ = 0;
  std::unique_ptr<State> stream_;
  std::unique_ptr<AlignedMemory> stream_scratch_;
  // Of a vector form's stream; the one-lane form has its history.
  std::unique_ptr<AlignedMemory> samples_;
  size_t capacity_ = 0, begin_ = 0;
  mutable std::mutex idle_mutex_;
  mutable std::vector<std::unique_ptr<Worker>> idle_;
};

nb::list forms() {
  const mltk_fe_vector_form *forms[3];
  const size_t n = mltk_fe_vector_forms(forms);
  nb::list names;
  for (size_t i = 0; i < n; ++i) names.append(forms[i]->name);
  names.append(kScalar);
  return names;
}

std::string default_form() {
  const char *const name = std::getenv(kFormVariable);
  return name == nullptr ? "" : name;
}

// Spectrograms, one a row; each is scaled alone.
void quantize(const mltk_fe_settings &settings, RawFeatures features, Int8Features output) {
  mltk_fe_quantize_tables tables{};
  const size_t n = features.shape(0), size = features.shape(1);
  if (n != output.shape(0) || size != output.shape(1)) throw std::invalid_argument("the output has the wrong shape");
  const auto status = mltk_fe_quantize_setup(&settings, &tables);
  if (status != MLTK_FE_OK) throw std::invalid_argument(text_of(status));
  nb::gil_scoped_release release;
  for (size_t i = 0; i < n; ++i) {
    mltk_fe_quantize(&tables, features.data() + i * size, size, output.data() + i * size);
  }
}

}  // namespace

NB_MODULE(_frontend, m) {
  if (_import_array() < 0) throw nb::python_error();
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
      .def(
          "__init__",
          [](Frontend *self, const mltk_fe_settings &settings, const char *form, nb::object convert) {
            new (self) Frontend(settings, *form == '\0' ? default_form() : form, std::move(convert));
          },
          "settings"_a, "form"_a = "", "convert"_a = nb::none())
      .def_prop_ro("form", &Frontend::form)
      .def("reset", &Frontend::reset)
      .def("tables", &Frontend::tables)
      .def("process", &Frontend::process, "chunk"_a.none())
      .def("activity_was_detected", &Frontend::activity_was_detected)
      .def("process_clips", &Frontend::process_clips, "clips"_a.noconvert(), "features"_a.noconvert(), "threads"_a = 1);

  m.def("forms", &forms);
  m.def("quantize", &quantize, "settings"_a, "features"_a.noconvert(), "output"_a.noconvert());
}
