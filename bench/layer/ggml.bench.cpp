// SPDX-License-Identifier: MIT
// ggml, where it is found: the graph that llama.cpp builds for a layer of experts, on ggml's own
// threads, weights in the layout that its CPU backend likes best.
#if defined(PRYTANY_BENCH_GGML)
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include "layer/layer.hpp"

namespace {

using namespace bench;

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using context = std::unique_ptr<ggml_context, freed_by<ggml_free>>;

template <ggml_type Type>
struct ggml_layer {
    struct graph {
        context tensors;
        std::unique_ptr<ggml_gallocr, freed_by<ggml_gallocr_free>> memory;
        ggml_cgraph* all;
        ggml_tensor *x, *ids, *weights, *out;
    };
    layer_size size;
    std::unique_ptr<ggml_backend, freed_by<ggml_backend_free>> backend{ggml_backend_cpu_init()};
    context tensors = make_context(8);
    std::unique_ptr<ggml_backend_buffer, freed_by<ggml_backend_buffer_free>> memory;
    ggml_tensor *gate, *up, *down;
    std::map<index_t, graph> graphs; // by tokens

    ggml_layer(layer_size const& of, expert_numbers const& numbers) : size(of) {
        auto const matrix = [&](index_t cols, index_t rows) {
            return ggml_new_tensor_3d(tensors.get(), Type, cols, rows, size.experts);
        };
        gate = matrix(size.model, size.hidden);
        up = matrix(size.model, size.hidden);
        down = matrix(size.hidden, size.model);
        memory.reset(ggml_backend_alloc_ctx_tensors_from_buft(tensors.get(), best_memory()));
        fill(gate, numbers.gate);
        fill(up, numbers.up);
        fill(down, numbers.down);
    }
    double bytes_of_expert() const {
        return static_cast<double>(ggml_nbytes(gate) + ggml_nbytes(up) + ggml_nbytes(down)) /
               static_cast<double>(size.experts);
    }
    /// Its threads inherit where the caller may run, so the caller may run everywhere.
    void open(index_t threads) {
#if defined(__linux__)
        cpu_set_t everywhere;
        CPU_ZERO(&everywhere);
        for (index_t i = 0; i < thread_pool::cores(); ++i)
            CPU_SET(static_cast<std::size_t>(i), &everywhere);
        pthread_setaffinity_np(pthread_self(), sizeof everywhere, &everywhere);
#endif
        ggml_backend_cpu_set_n_threads(backend.get(), static_cast<int>(threads));
    }
    void forward(batch const& in, matrix_view<float> y, thread_pool&) {
        auto& own = graphs[in.x.rows];
        if (!own.tensors) own = make_graph(in.x.rows);
        ggml_backend_tensor_set(own.x, in.x.data, 0, ggml_nbytes(own.x));
        ggml_backend_tensor_set(own.ids, in.experts.data(), 0, ggml_nbytes(own.ids));
        ggml_backend_tensor_set(own.weights, in.weights.data(), 0, ggml_nbytes(own.weights));
        ggml_backend_graph_compute(backend.get(), own.all);
        ggml_backend_tensor_get(own.out, y.data, 0, ggml_nbytes(own.out));
    }

private:
    static context make_context(std::size_t count) {
        return context(
            ggml_init({.mem_size = count * ggml_tensor_overhead() + ggml_graph_overhead(),
                       .mem_buffer = nullptr,
                       .no_alloc = true}));
    }
    /// The memory in which ggml interleaves rows of the types that it has such products for.
    ggml_backend_buffer_type_t best_memory() {
        auto const device = ggml_backend_get_device(backend.get());
        auto const list =
            reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
                ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
        for (auto const* extra = list != nullptr ? list(device) : nullptr;
             extra != nullptr && *extra != nullptr; ++extra) {
            if (!ggml_is_quantized(Type)) break;
            context const some = make_context(8);
            auto* const w =
                ggml_new_tensor_3d(some.get(), Type, size.model, size.hidden, size.experts);
            auto* const x = ggml_new_tensor_3d(some.get(), GGML_TYPE_F32, size.model, 1, 8);
            auto* const ids = ggml_new_tensor_2d(some.get(), GGML_TYPE_I32, size.k, 8);
            auto* const op = ggml_mul_mat_id(some.get(), w, x, ids);
            w->buffer = ggml_backend_buft_alloc_buffer(*extra, 0);
            bool const can = w->buffer != nullptr && ggml_backend_dev_supports_op(device, op);
            ggml_backend_buffer_free(w->buffer);
            if (can) return *extra;
        }
        return ggml_backend_cpu_buffer_type();
    }
    void fill(ggml_tensor* to, std::vector<float> const& from) {
        auto const one = ggml_nbytes(to) / static_cast<std::size_t>(size.experts);
        std::vector<char> all(ggml_nbytes(to));
        if constexpr (Type == GGML_TYPE_F32) std::memcpy(all.data(), from.data(), one);
        else ggml_quantize_chunk(Type, from.data(), all.data(), 0, to->ne[1], to->ne[0], nullptr);
        for (index_t e = 1; e < size.experts; ++e)
            std::memcpy(all.data() + static_cast<std::size_t>(e) * one, all.data(), one);
        ggml_backend_tensor_set(to, all.data(), 0, all.size());
    }
    graph make_graph(index_t tokens) {
        graph g{make_context(256), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
        auto* const c = g.tensors.get();
        g.x = ggml_new_tensor_3d(c, GGML_TYPE_F32, size.model, 1, tokens);
        g.ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, size.k, tokens);
        g.weights = ggml_new_tensor_3d(c, GGML_TYPE_F32, 1, size.k, tokens);
        for (auto* const in : {g.x, g.ids, g.weights}) ggml_set_input(in);
        auto* const inner = ggml_swiglu_split(c, ggml_mul_mat_id(c, gate, g.x, g.ids),
                                              ggml_mul_mat_id(c, up, g.x, g.ids));
        auto* const rows = ggml_mul(c, ggml_mul_mat_id(c, down, inner, g.ids), g.weights);
        for (index_t i = 0; i < size.k; ++i) {
            auto* const slot = ggml_view_2d(c, rows, size.model, tokens, rows->nb[2],
                                            static_cast<std::size_t>(i) * rows->nb[1]);
            g.out = i == 0 ? slot : ggml_add(c, g.out, slot);
        }
        ggml_set_output(g.out);
        g.all = ggml_new_graph(c);
        ggml_build_forward_expand(g.all, g.out);
        g.memory.reset(ggml_gallocr_new(ggml_backend_cpu_buffer_type()));
        ggml_gallocr_alloc_graph(g.memory.get(), g.all);
        return g;
    }
};

template <ggml_type Type>
void add_all(char const* format, double bytes_of_weight, bound unit) {
    for (layer_size const& size : sizes::all) {
        if (ggml_blck_size(Type) > std::min(size.model, size.hidden)) continue;
        add_layer<ggml_layer<Type>>(size, {"ggml", format, unit, bytes_of_weight});
    }
}

int const added = add_later([] {
    add_all<GGML_TYPE_F32>("f32", 4, bound::fma);
    add_all<GGML_TYPE_F16>("f16", 2, bound::fma);
    add_all<GGML_TYPE_BF16>("bf16", 2, bound::fma);
    add_all<GGML_TYPE_Q8_0>("q8_0", 1.0625, bound::madd);
    add_all<GGML_TYPE_Q4_0>("q4_0", 0.5625, bound::maddubs);
    add_all<GGML_TYPE_MXFP4>("mxfp4", 0.53125, bound::maddubs);
    add_all<GGML_TYPE_TQ2_0>("tq2_0", 0.2578125, bound::maddubs);
});

} // namespace
#endif
