// SPDX-License-Identifier: MIT
// Our product in every format, beside a plain loop.
#include "kernel/product.hpp"
#include "prytany/kernel/gemm.hpp"
#include "support/formats.hpp"

namespace {

using namespace bench;

/// Rows as the products of a format read them: as they are, or rounded.
template <auto Format>
struct our_rows {
    index_t tokens;
    buffer<kernel::input_of<Format>> rounded;
    kernel::picked<kernel::input_of<Format>> read;

    our_rows(float const* x, index_t count, index_t inputs) : tokens(count) {
        if constexpr (kernel::rounds<Format>()) {
            using row = kernel::rounded_row<Format>;
            read.stride = row::stride(inputs);
            rounded = buffer<kernel::input_of<Format>>(count * read.stride);
            read.base = rounded.data();
            for (index_t t = 0; t < count; ++t)
                row::write(x + t * inputs, inputs, rounded.data() + t * read.stride);
        } else {
            read = {x, inputs, nullptr};
        }
    }
};

template <auto Format>
struct ours {
    using rows = our_rows<Format>;
    struct matrix {
        packed<Format> panels;

        matrix(matrix_size const& size, float const* from) : panels(size.outputs, size.inputs) {
            for (index_t r = 0; r < size.outputs; ++r)
                panels.pack(r, {from + r * size.inputs, static_cast<std::size_t>(size.inputs)});
        }
        index_t bytes() const { return panels.bytes(); }
    };
    static void multiply(rows const& in, matrix const& w, float* y) {
        index_t const outputs = w.panels.rows();
        kernel::multiply(in.read, in.tokens, w.panels, 0, w.panels.panels(),
                         [&](index_t row, index_t panel, simd::float_pair sum) {
                             index_t const column = panel * panel_lanes;
                             simd::store_pair(y + row * outputs + column, sum, outputs - column);
                         });
    }
};

struct naive {
    using rows = plain_rows;
    using matrix = plain_matrix;
    static void multiply(rows const& in, matrix const& w, float* y) {
        for (index_t t = 0; t < in.tokens; ++t)
            for (index_t n = 0; n < w.size.outputs; ++n) {
                float sum = 0;
                for (index_t k = 0; k < in.inputs; ++k)
                    sum += in.x[t * in.inputs + k] * w.numbers[n * in.inputs + k];
                y[t * w.size.outputs + n] = sum;
            }
    }
};

int const added = add_later([] {
    for_each_format([]<auto Format>(char const* label, bound unit) {
        add_product<ours<Format>>("ours", label, unit);
    });
    add_product<naive>("naive", "f32", bound::fma, 16);
});

} // namespace
