// SPDX-License-Identifier: MIT
// A prototype of the layer written with intrinsics, where PRYTANY_PROTOTYPE names its folder.
#if defined(PRYTANY_BENCH_PROTOTYPE)
#include <cstdlib>
#include <optional>

#include <moe_proto.hpp>

#include "layer/layer.hpp"

namespace {

using namespace bench;

/// Its threads spin for ever, so they live only while it is measured.
template <class F>
struct prototype {
    std::optional<proto::Pool> pool;
    std::optional<proto::Layer<F>> layer;

    prototype(layer_size const& size, expert_numbers const& numbers) {
        open(1);
        auto const as_int = [](index_t n) { return static_cast<int>(n); };
        layer.emplace(as_int(size.experts), as_int(size.k), as_int(size.model), as_int(size.hidden),
                      *pool);
        layer->set_expert(0, numbers.gate.data(), numbers.up.data(), numbers.down.data());
        for (int e = 1; e < as_int(size.experts); ++e) layer->copy_expert(e, 0);
        close();
    }
    double bytes_of_expert() const { return layer->bytes_per_expert(); }
    /// We place the caller; the prototype's own pins count from core 0 on.
    void open(index_t threads) {
        if (!chosen().pin) setenv("PINOFF", "1", 1);
        pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
        pool.emplace(static_cast<int>(threads));
    }
    void close() {
        pool.reset();
        pthread_setaffinity_np(pthread_self(), sizeof before_, &before_);
    }
    void forward(batch const& in, matrix_view<float> y, thread_pool&) {
        layer->forward(in.x.data, static_cast<int>(in.x.rows), in.experts.data(), in.weights.data(),
                       y.data);
    }

private:
    cpu_set_t before_;
};

template <class F>
void add_all(char const* format, bound unit, double bytes_of_weight) {
    for (layer_size const& size : sizes::all)
        add_layer<prototype<F>>(size, {"prototype", format, unit, bytes_of_weight});
}

int const added = add_later([] {
    add_all<proto::F32>("f32", bound::fma, 4);
    add_all<proto::BF16>("bf16", bound::fma, 2);
    add_all<proto::I8>("int8_a16", bound::madd, 1);
    add_all<proto::I8G>("int8_g32_a16", bound::madd, 1.125);
    add_all<proto::I4>("int4_g32_a8", bound::maddubs, 0.625);
    add_all<proto::T2>("ternary_a8", bound::maddubs, 0.25);
});

} // namespace
#endif
