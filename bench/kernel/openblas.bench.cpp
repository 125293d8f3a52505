// SPDX-License-Identifier: MIT
// OpenBLAS, where it is found.
#if defined(PRYTANY_BENCH_OPENBLAS)
#include <cblas.h>

#include "kernel/product.hpp"

extern "C" void openblas_set_num_threads(int);

namespace {

using namespace bench;

struct openblas {
    using rows = plain_rows;
    using matrix = plain_matrix;
    static void multiply(rows const& in, matrix const& w, float* y) {
        auto const m = static_cast<int>(in.tokens), k = static_cast<int>(in.inputs),
                   n = static_cast<int>(w.size.outputs);
        float const* const from = w.numbers.data();
        if (m == 1)
            return cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0f, from, k, in.x, 1, 0.0f, y,
                               1);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, in.x, k, from, k, 0.0f,
                    y, n);
    }
};

int const added = add_later([] {
    openblas_set_num_threads(1);
    add_product<openblas>("openblas", "f32");
});

} // namespace
#endif
