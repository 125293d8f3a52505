// expect: eigen: an expression has no storage: write (expression).eval()
#include <prytany/eigen.hpp>

using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    rows m = rows::Zero(2, 3);
#if defined(PRYTANY_MUST_FAIL)
    prytany::matrix_view<float const> view = m + m;
#else
    rows sum = (m + m).eval();
    prytany::matrix_view<float const> view = sum;
#endif
    return view.rows == 2 ? 0 : 1;
}
