// expect: eigen: rows are row-major: write Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, or m.transpose() where tokens are columns
#include <prytany/eigen.hpp>

using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    rows m = rows::Zero(2, 3);
#if defined(PRYTANY_MUST_FAIL)
    Eigen::MatrixXf columns = m;
    prytany::matrix_view<float const> view = columns;
#else
    prytany::matrix_view<float const> view = m;
#endif
    return view.rows == 2 ? 0 : 1;
}
