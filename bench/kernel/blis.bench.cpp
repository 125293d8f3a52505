// SPDX-License-Identifier: MIT
// BLIS through its own interface, where it is found: its CBLAS would be mistaken for OpenBLAS's.
#if defined(PRYTANY_BENCH_BLIS)
#include <blis.h>

#include "kernel/product.hpp"

namespace {

using namespace bench;

struct blis {
    using rows = plain_rows;
    using matrix = plain_matrix;
    static void multiply(rows const& in, matrix const& w, float* y) {
        float one = 1.0f, zero = 0.0f;
        auto* const x = const_cast<float*>(in.x); // read only, the interface says otherwise
        auto* const from = const_cast<float*>(w.numbers.data());
        index_t const k = in.inputs, n = w.size.outputs;
        if (in.tokens == 1)
            return bli_sgemv(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, n, k, &one, from, k, 1, x, 1,
                             &zero, y, 1);
        bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_TRANSPOSE, in.tokens, n, k, &one, x, k, 1, from, k, 1,
                  &zero, y, n, 1);
    }
};

int const added = add_later([] {
    bli_thread_set_num_threads(1);
    add_product<blis>("blis", "f32");
});

} // namespace
#endif
