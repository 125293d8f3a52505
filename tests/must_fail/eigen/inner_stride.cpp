// expect: eigen: the numbers of a row lie side by side (inner stride 1): write m.eval()
#include <prytany/eigen.hpp>

using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    rows m = rows::Zero(2, 3);
#if defined(PRYTANY_MUST_FAIL)
    Eigen::Map<rows, 0, Eigen::Stride<Eigen::Dynamic, 2>> every_second(m.data(), 2, 1, {3, 2});
    prytany::matrix_view<float const> view = every_second;
#else
    prytany::matrix_view<float const> view = m.leftCols(2);
#endif
    return view.rows == 2 ? 0 : 1;
}
