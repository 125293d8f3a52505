// SPDX-License-Identifier: MIT
// One expert by itself, with numbers, and the ways to run it.
#pragma once

#include "conformance/numbers.hpp"
#include "prytany/expert/concept.hpp"
#include "prytany/kernel/rounded.hpp"

namespace numbers {

template <auto Expert, auto Format = dense<float>{}, shape Fixed = shape{}>
struct held_expert {
    using E = kind_of<Expert>;
    typename E::template weights<Format> weights{};
    typename E::params params{};
    shape size;

    held_expert(index_t model, index_t hidden, std::uint64_t seed = 1)
        : size{.model = model, .hidden = hidden, .experts = 1} {
        Expert.tensors(weights, size, [](auto const& t) { t.allocate(); });
        Expert.tensors(weights, size, [&](auto const& t) { fill_tensor(t, ++seed * 7919, 2); });
    }
    expert_kit<Expert, Format, Fixed> kit() const { return {size, params, weights}; }
    twin::ffn_weights twin() const {
        twin::ffn_weights w;
        auto& own = const_cast<held_expert&>(*this).weights;
        Expert.tensors(own, size, [&](auto const& t) { put(w, t.name.role, stored(t)); });
        return w;
    }
    /// Output rows of `stride` floats, filled with 77 before.
    rows apply(work const& in, index_t stride = 0) const {
        stride = std::max(stride, size.model);
        typename E::scratch room{};
        arena count;
        room.lay_out(count, size, in.count);
        buffer<float> memory(count.used() / 4);
        for (index_t i = 0; i < memory.size(); ++i) memory[i] = std::nanf("");
        arena real(reinterpret_cast<std::byte*>(memory.data()));
        room.lay_out(real, size, in.count);
        rows out(in.count, stride, 77.0f);
        E::apply(in, kit(), room, matrix_view<float>(out.all.data(), in.count, size.model, stride));
        return out;
    }
    rows apply(rows const& x) const { return apply(work{{x.all.data(), x.cols}, x.count}); }

    /// The two phases of a tiled expert, `cut` panels at a time, later panels first. What the format
    /// rounds is rounded once before each phase, as a layer does.
    rows tiles(rows const& x, index_t cut) const {
        rows inner(x.count, E::inner(size), std::nanf("")), out(x.count, size.model, 77.0f);
        auto const back = [&](index_t panels, auto&& f) {
            for (index_t p = (panels + cut - 1) / cut; p-- > 0;)
                f(p * cut, std::min(panels, (p + 1) * cut));
        };
        read const in(x, size.model);
        back(E::rise_panels(size), [&](index_t first, index_t last) {
            E::rise(in.work(), kit(), first, last, inner.view());
        });
        read const risen(inner, E::inner_used(size));
        back(E::fall_panels(size), [&](index_t first, index_t last) {
            E::fall(risen.work(), kit(), first, last, [&](index_t row, index_t column, auto sum) {
                simd::store_pair(out.row(row) + column, sum, out.cols - column);
            });
        });
        return out;
    }

private:
    /// Rows as products with the format read them.
    struct read {
        using element = kernel::input_of<Format>;
        index_t count;
        buffer<std::byte> memory;
        kernel::picked<element> all;

        read(rows const& x, index_t cols)
            : count(x.count),
              memory(x.count * kernel::read_stride<Format>(cols) * index_t{sizeof(element)}),
              all(kernel::as_read<Format>({x.all.data(), x.cols}, x.count, cols, memory.data())) {}
        work_of<Format> work() const { return {all, count}; }
    };
};

} // namespace numbers
