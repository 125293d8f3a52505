// SPDX-License-Identifier: MIT
// Eigen's product of two matrices, or of a matrix and a vector.
#include <Eigen/Core>

#include "kernel/product.hpp"

namespace {

using namespace bench;

struct eigen {
    using rows = plain_rows;
    using matrix = plain_matrix;
    static void multiply(rows const& in, matrix const& w, float* y) {
        using dense_rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        Eigen::Map<dense_rows const> const input(in.x, in.tokens, in.inputs);
        Eigen::Map<dense_rows const> const weights(w.numbers.data(), w.size.outputs, in.inputs);
        if (in.tokens == 1) { // else Eigen runs a matrix product on one row
            Eigen::Map<Eigen::VectorXf>(y, w.size.outputs).noalias() =
                weights * input.row(0).transpose();
            return;
        }
        Eigen::Map<dense_rows>(y, in.tokens, w.size.outputs).noalias() =
            input * weights.transpose();
    }
};

int const added = add_later([] { add_product<eigen>("eigen", "f32"); });

} // namespace
