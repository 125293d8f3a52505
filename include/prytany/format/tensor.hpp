// SPDX-License-Identifier: MIT
// One logical matrix of a layer, by name, wherever its numbers lie.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/core/error.hpp"
#include "prytany/core/matrix_view.hpp"
#include "prytany/core/panel.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What a tensor is to its layer: "expert" 3 "gate", "router" "weight", "shared" "down".
struct tensor_name {
    std::string_view part, role;
    index_t expert = dynamic; ///< dynamic, where there is only one

    std::string text() const {
        std::string all(part);
        if (expert != dynamic) all += "." + std::to_string(expert);
        return all + "." + std::string(role);
    }
    friend bool operator==(tensor_name const&, tensor_name const&) = default;
};

/// One float for each output, in the order of packed rows and filled up with zeros to whole panels.
///
/// Test      tests/format/tensor.test.cpp
class column {
public:
    void resize(index_t rows, index_t) {
        rows_ = rows;
        values_ = buffer<float>((rows + panel_lanes - 1) / panel_lanes * panel_lanes);
    }
    void pack(index_t row, std::span<float const> from) noexcept { values_[row] = from[0]; }
    void unpack(index_t row, std::span<float> to) const noexcept { to[0] = values_[row]; }
    index_t rows() const noexcept { return rows_; }
    index_t cols() const noexcept { return 1; }
    float const* data() const noexcept { return values_.data(); }
    index_t bytes() const noexcept { return values_.size() * index_t{sizeof(float)}; }

private:
    buffer<float> values_;
    index_t rows_ = 0;
};

/// One logical matrix [rows, cols] in a store that it may share with others; `vector` where files
/// keep it with one dimension.
///
/// What `for_each_tensor` of a layer visits: allocating, loading, saving and counting are visitors.
/// Throws    pack, unpack: error, if the sizes differ
/// Test      tests/format/tensor.test.cpp
template <class Store>
struct tensor {
    tensor_name name;
    index_t rows, cols;
    Store* store;
    row_map place;
    bool vector;

    tensor(tensor_name what, index_t row_count, index_t col_count, Store* in, row_map where = {},
           bool one_dimension = false)
        : name(what), rows(row_count), cols(col_count), store(in), place(where),
          vector(one_dimension) {}

    void allocate() const {
        if (place.part == 0) store->resize(place.packed_rows(rows), cols);
    }
    void pack(matrix_view<float const> from) const {
        check(from.rows, from.cols);
        for (index_t r = 0; r < rows; ++r)
            pack_row(r, {from.row(r), static_cast<std::size_t>(cols)});
    }
    void pack_row(index_t row, std::span<float const> from) const { store->pack(place(row), from); }
    void unpack(matrix_view<float> to) const {
        check(to.rows, to.cols);
        for (index_t r = 0; r < rows; ++r)
            store->unpack(place(r), {to.row(r), static_cast<std::size_t>(cols)});
    }
    /// What streaming this matrix reads, its share of a store with several.
    index_t bytes() const {
        index_t const of = store->rows() * place.parts;
        return of > 0 ? store->bytes() * place.packed_rows(rows) / of : 0;
    }

private:
    void check(index_t got_rows, index_t got_cols) const {
        if (got_rows != rows || got_cols != cols)
            throw error(name.text(), dims_text(rows, cols), dims_text(got_rows, got_cols));
    }
};

} // namespace prytany::inline PRYTANY_ABI
