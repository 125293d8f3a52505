// SPDX-License-Identifier: MIT
// Our layer, router included, with its sizes in the type or read at run time.
#pragma once

#include <map>

#include "layer/layer.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/formats.hpp"

namespace bench {

template <auto Format, shape Fixed = shape{}, index_t K = dynamic>
struct ours {
    moe<Fixed, top_k{.k = K}, ffn{swiglu}, Format> layer;
    workspace ws;
    double expert_bytes = 0;

    ours(layer_size const& size, expert_numbers const& numbers)
        : layer(shape{.model = size.model, .hidden = size.hidden, .experts = size.experts},
                {.router = {.k = size.k}}) {
        std::map<std::string_view, void const*> first; // stores of expert 0, by role
        layer.for_each_tensor([&](auto const& t) {
            if (t.name.part != "expert") {
                for (index_t r = 0; r < t.rows; ++r) t.pack_row(r, router_row(size, r));
                return;
            }
            if (t.name.expert == 0) {
                auto const& from = t.name.role == "gate" ? numbers.gate
                                   : t.name.role == "up" ? numbers.up
                                                         : numbers.down;
                t.pack({from.data(), t.rows, t.cols});
                first[t.name.role] = t.store;
                expert_bytes += static_cast<double>(t.bytes());
            } else if (t.name.role != "gate") { // it shares its panels with up
                *t.store = *static_cast<decltype(t.store)>(const_cast<void*>(first[t.name.role]));
            }
        });
    }
    double bytes_of_expert() const { return expert_bytes; }
    void forward(batch const& in, matrix_view<float> y, thread_pool& pool) {
        layer.forward(in.x, y, ws, pool);
    }
};

/// Ours in every format at one size, read at run time.
inline void add_ours(layer_size const& size) {
    for_each_format([&]<auto Format>(char const* label, bound unit) {
        add_layer<ours<Format>>(size, {"ours", label, unit, bytes_of_weight<Format>()});
    });
}
/// The same, known to the compiler.
template <layer_size S>
void add_ours() {
    constexpr shape fixed{.model = S.model, .hidden = S.hidden, .experts = S.experts};
    for_each_format([]<auto Format>(char const* label, bound unit) {
        add_layer<ours<Format, fixed, S.k>>(S, {"ours", label, unit, bytes_of_weight<Format>()});
    });
}

} // namespace bench
