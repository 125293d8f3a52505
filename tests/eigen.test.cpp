// SPDX-License-Identifier: MIT
#include "prytany/eigen.hpp"

#include <concepts>
#include <vector>

#include "prytany/prytany.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using input_view = matrix_view<float const>;
using output_view = matrix_view<float>;

template <class M>
constexpr bool goes_in = std::convertible_to<M, input_view>;
template <class M>
constexpr bool goes_out = std::convertible_to<M, output_view>;

static_assert(goes_in<rows&> && goes_in<rows const&> && goes_in<rows>);
static_assert(goes_out<rows&> && !goes_out<rows const&>);
static_assert(goes_in<Eigen::Map<rows const>> && !goes_out<Eigen::Map<rows const>>);
static_assert(goes_out<Eigen::Map<rows>> && goes_out<Eigen::Ref<rows>>);
static_assert(goes_in<Eigen::Ref<rows const> const&> && !goes_out<Eigen::Ref<rows const>&>);
static_assert(goes_out<decltype(std::declval<rows&>().topRows(1))>);
static_assert(!goes_out<decltype(std::declval<rows const&>().topRows(1))>);
static_assert(std::convertible_to<rows&, input>);
static_assert(!goes_in<int> && !goes_in<std::vector<float>>);

void same(input_view seen, float const* data, index_t count, index_t width, index_t stride) {
    CHECK(seen.data == data);
    CHECK(seen.rows == count);
    CHECK(seen.cols == width);
    CHECK(seen.stride == stride);
}

/// A layer with weights that differ from each other.
auto make() {
    moe<shape{.model = 6, .hidden = 5, .experts = 4}, top_k{.k = 2}, ffn{swiglu}> layer;
    int n = 0;
    layer.for_each_tensor([&](auto const& t) {
        std::vector<float> row(static_cast<std::size_t>(t.cols));
        for (index_t r = 0; r < t.rows; ++r) {
            for (float& v : row) v = static_cast<float>(n++ * 37 % 101 - 50) / 50.0f;
            t.pack_row(r, row);
        }
    });
    return layer;
}

} // namespace

TEST_CASE("eigen: matrices, Maps and Refs are rows") {
    rows m = rows::Random(4, 6);
    rows const& fixed = m;
    same(m, m.data(), 4, 6, 6);
    same(fixed, m.data(), 4, 6, 6);
    same(Eigen::Map<rows>(m.data(), 3, 8), m.data(), 3, 8, 8);
    same(Eigen::Map<rows const>(m.data(), 3, 8), m.data(), 3, 8, 8);
    same(Eigen::Ref<rows>(m), m.data(), 4, 6, 6);
    same(Eigen::Ref<rows const>(m), m.data(), 4, 6, 6);
    Eigen::Matrix<float, 3, 4, Eigen::RowMajor> small;
    same(small, small.data(), 3, 4, 4);
    Eigen::Array<float, 3, 4, Eigen::RowMajor> array;
    same(array, array.data(), 3, 4, 4);
}

TEST_CASE("eigen: blocks keep the stride of what they are cut from") {
    rows m = rows::Random(5, 9);
    same(m.topRows(2), m.data(), 2, 9, 9);
    same(m.middleRows(1, 3), m.data() + 9, 3, 9, 9);
    same(m.leftCols(4), m.data(), 5, 4, 9);
    same(m.block(1, 2, 3, 5), m.data() + 11, 3, 5, 9);
    same(m.block<3, 5>(1, 2), m.data() + 11, 3, 5, 9);
    same(m.block(1, 2, 3, 5).bottomRows(1), m.data() + 29, 1, 5, 9);
    same(Eigen::Ref<rows>(m.rightCols(3)), m.data() + 6, 5, 3, 9);
    using strided = Eigen::Map<rows, Eigen::Unaligned, Eigen::OuterStride<>>;
    same(strided(m.data(), 2, 4, Eigen::OuterStride<>(20)), m.data(), 2, 4, 20);
}

TEST_CASE("eigen: a vector, row or column, is one row") {
    Eigen::RowVectorXf wide = Eigen::RowVectorXf::Random(7);
    Eigen::VectorXf tall = Eigen::VectorXf::Random(7);
    rows m = rows::Random(3, 7);
    Eigen::MatrixXf columns = Eigen::MatrixXf::Random(7, 3);
    same(wide, wide.data(), 1, 7, 7);
    same(tall, tall.data(), 1, 7, 7);
    same(wide.segment(2, 3), wide.data() + 2, 1, 3, 3);
    same(m.row(1), m.data() + 7, 1, 7, 7);
    same(columns.col(2), columns.data() + 14, 1, 7, 7);
    rows thin = rows::Random(4, 1); // one column at run time only: four rows
    same(thin, thin.data(), 4, 1, 1);
}

TEST_CASE("eigen: the transpose of a column-major matrix has its columns as rows") {
    Eigen::MatrixXf columns = Eigen::MatrixXf::Random(7, 3);
    same(columns.transpose(), columns.data(), 3, 7, 7);
    same(columns.leftCols(2).transpose(), columns.data(), 2, 7, 7);
}

TEST_CASE("eigen: rows without numbers") {
    rows none(0, 6);
    same(none, none.data(), 0, 6, 6);
}

TEST_CASE("eigen: a layer reads and writes them, with the bits of plain rows") {
    auto const layer = make();
    rows const x = rows::Random(8, 6);
    rows plain(8, 6);
    workspace ws;
    sequential pool;
    layer.forward(input_view(x.data(), 8, 6), output_view(plain.data(), 8, 6), ws, pool);
    CHECK(plain.array().isFinite().all());
    CHECK(plain.squaredNorm() > 0);

    rows y = rows::Zero(8, 6);
    layer.forward(x, y, ws, pool);
    CHECK(y == plain);

    y.setZero();
    layer.forward(Eigen::Ref<rows const>(x), Eigen::Ref<rows>(y), ws, pool);
    CHECK(y == plain);

    rows padded = rows::Zero(10, 9);
    layer.forward(x.middleRows(2, 4), padded.block(3, 2, 4, 6), ws, pool);
    CHECK(padded.block(3, 2, 4, 6) == plain.middleRows(2, 4));
    padded.block(3, 2, 4, 6).setZero();
    CHECK(padded.isZero(0));

    y.setZero();
    layer.forward(Eigen::Map<rows const>(x.data(), 8, 6), Eigen::Map<rows>(y.data(), 8, 6), ws,
                  pool);
    CHECK(y == plain);

    Eigen::VectorXf one(6);
    layer.forward(x.row(5), one, ws, pool);
    CHECK(one.transpose() == plain.row(5));

    layer.forward((x * 1.0f).eval(), y, ws, pool); // a temporary lives as long as the call
    CHECK(y == plain);

    std::vector<std::uint8_t> const mask{1, 1, 0, 1, 1, 1, 1, 1};
    layer.forward(input{x, mask}, y, ws, pool);
    CHECK(y.row(2).isZero(0));
    CHECK(y.row(3) == plain.row(3));
}

TEST_CASE("eigen: as_eigen is a Map with the stride of the rows") {
    std::vector<float> data(20);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
    output_view const view(data.data(), 3, 4, 7);
    auto map = as_eigen(view);
    CHECK(map(2, 3) == 17);
    CHECK(map.sum() == 3 * 6 + 4 * 21);
    map.row(1).setZero();
    CHECK(data[7] == 0);
    CHECK(data[11] == 11);

    auto const read_only = as_eigen(input_view(view));
    static_assert(std::is_const_v<std::remove_pointer_t<decltype(read_only.data())>>);
    CHECK(read_only(2, 0) == 14);
    same(map, data.data(), 3, 4, 7); // and back
}
