// SPDX-License-Identifier: MIT
// oneDNN, where it is found: weights as they are, and in the layout that it likes best.
#if defined(PRYTANY_BENCH_ONEDNN)
#include "support/onednn.hpp"
#include "kernel/product.hpp"

namespace {

using namespace bench;

template <bool Any>
struct onednn {
    struct matrix {
        plain_matrix plain;
        buffer<float> packed; // in the layout for the number of rows that came last
        dnnl::memory::desc layout;

        matrix(matrix_size const& size, float const* from) : plain(size, from) {}
        index_t bytes() const { return plain.bytes(); }
    };
    struct rows {
        float const* x;
        index_t tokens, inputs;
        std::unique_ptr<one_product> product;

        rows(float const* from, index_t count, index_t width)
            : x(from), tokens(count), inputs(width) {}
    };
    static void prepare(rows& in, std::vector<matrix>& all) {
        in.product =
            std::make_unique<one_product>(in.tokens, in.inputs, all[0].plain.size.outputs, Any);
        if constexpr (Any)
            for (auto& one : all)
                if (one.layout != in.product->weights()) {
                    one.layout = in.product->weights();
                    one.packed = in.product->pack(one.plain.numbers.data());
                }
    }
    static void multiply(rows const& in, matrix const& w, float* y) {
        in.product->run(in.x, Any ? w.packed.data() : w.plain.numbers.data(), y);
    }
};

int const added = add_later([] {
    one_thread_here();
    add_product<onednn<false>>("onednn", "f32");
    add_product<onednn<true>>("onednn_any", "f32");
});

} // namespace
#endif
