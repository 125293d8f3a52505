// expect: eigen: rows are of float: write m.cast<float>().eval()
#include <prytany/eigen.hpp>

using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    rows m = rows::Zero(2, 3);
#if defined(PRYTANY_MUST_FAIL)
    Eigen::MatrixXd wide = m.cast<double>();
    prytany::matrix_view<float> view = wide;
#else
    prytany::matrix_view<float> view = m;
#endif
    return view.rows == 2 ? 0 : 1;
}
