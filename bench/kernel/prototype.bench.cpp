// SPDX-License-Identifier: MIT
// The products of a prototype written with intrinsics, where PRYTANY_PROTOTYPE names its folder.
#if defined(PRYTANY_BENCH_PROTOTYPE)
#include <moe_proto.hpp>

#include "kernel/product.hpp"

namespace {

using namespace bench;

template <class F>
struct prototype {
    struct matrix {
        index_t inputs, outputs;
        buffer<std::uint8_t> panels;

        matrix(matrix_size const& size, float const* from)
            : inputs(size.inputs), outputs(size.outputs),
              panels(static_cast<index_t>(stride()) * outputs / 16) {
            for (index_t p = 0; p < outputs / 16; ++p) {
                float const* columns[16];
                for (index_t c = 0; c < 16; ++c) columns[c] = from + (p * 16 + c) * inputs;
                F::pack(panels.data() + static_cast<std::size_t>(p) * stride(), columns,
                        static_cast<int>(inputs));
            }
        }
        std::size_t stride() const { return F::panel_bytes(static_cast<int>(inputs)); }
        index_t bytes() const { return panels.size(); }
    };
    /// Staged, as the prototype's layer does: padded by a line, quantised where a format wants it.
    struct rows {
        index_t tokens, inputs, stride;
        buffer<typename F::A> numbers;
        buffer<float> scales;
        buffer<int> sums;
        std::vector<typename F::A const*> row;
        std::vector<float const*> row_sums;

        rows(float const* x, index_t count, index_t width)
            : tokens(count), inputs(width),
              stride(width + static_cast<index_t>(64 / sizeof(typename F::A))),
              numbers(count * stride), scales(count), sums(count * (width / 32 + 1)) {
            for (index_t t = 0; t < count; ++t) {
                auto* const to = numbers.data() + t * stride;
                auto* const own = sums.data() + t * (width / 32 + 1);
                if constexpr (F::quantA)
                    proto::quant_row<F>(x + t * width, static_cast<int>(width), to,
                                        scales.data() + t, own);
                else std::copy_n(x + t * width, width, to);
                row.push_back(to);
                row_sums.push_back(reinterpret_cast<float const*>(own));
            }
        }
    };
    static void multiply(rows const& in, matrix const& w, float* y) {
        alignas(64) float sums[proto::MC * 16];
        proto::run_panels<F>(
            in.row.data(), in.scales.data(), in.row_sums.data(), static_cast<int>(in.tokens),
            w.panels.data(), 0, static_cast<int>(w.outputs / 16), static_cast<int>(w.inputs), sums,
            [&](int panel, int first, int count, float const* from) {
                for (int t = 0; t < count; ++t)
                    std::copy_n(from + t * 16, 16, y + (first + t) * w.outputs + panel * 16);
            });
    }
};

int const added = add_later([] {
    add_product<prototype<proto::F32>>("prototype", "f32");
    add_product<prototype<proto::BF16>>("prototype", "bf16");
    add_product<prototype<proto::I8>>("prototype", "int8_a16", bound::madd);
    add_product<prototype<proto::I8G>>("prototype", "int8_g32_a16", bound::madd);
    add_product<prototype<proto::I4>>("prototype", "int4_g32_a8", bound::maddubs);
    add_product<prototype<proto::T2>>("prototype", "ternary_a8", bound::maddubs);
});

} // namespace
#endif
