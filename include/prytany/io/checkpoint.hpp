// SPDX-License-Identifier: MIT
// Tensors out of the folder of a model, in one file or in shards.
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/detail/shard_index.hpp"
#include "prytany/io/file.hpp"
#include "prytany/io/safetensors.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// The checkpoint of a model: a safetensors file, or a folder with model.safetensors, or with
/// model.safetensors.index.json and the shards it names.
///
///     io::checkpoint model{"models/olmoe"};
///     model.read(*model.find("lm_head.weight"), 0, floats);
///
/// Every file is opened and its header checked at once. A shard lies in the folder itself: its
/// name has no slash, and a symbolic link leads to the folder or, as in the hub's cache, to
/// ../../blobs. A tensor of a shard which the index leaves out is there too.
/// Models    tensor_source
/// Throws    error: a shard or a tensor missing, a tensor in two shards or in another than the
///           index says, a name that leaves the folder; what `safetensors` throws
/// Test      tests/io/checkpoint.test.cpp
class checkpoint {
public:
    explicit checkpoint(std::string path, access how = access::read, limits const& most = {})
        : path_(std::move(path)) {
        namespace fs = std::filesystem;
        std::error_code none;
        fs::path const folder = path_, one = folder / "model.safetensors",
                       index = folder / "model.safetensors.index.json";
        if (!fs::is_directory(folder, none)) {
            add(path_, how, most);
        } else if (fs::exists(one, none)) {
            add(one, how, most);
        } else if (fs::exists(index, none)) {
            add_shards(folder, index, how, most);
        } else {
            throw error{path_, "model.safetensors or model.safetensors.index.json in it",
                        "neither"};
        }
    }

    std::string where() const { return path_; }
    std::span<stored const> tensors() const noexcept { return tensors_; }
    stored const* find(std::string_view name) const noexcept { return find_in(tensors_, name); }
    /// The files, as `stored::part` numbers them.
    std::span<safetensors const> parts() const noexcept { return parts_; }

    void read(stored const& tensor, index_t first, std::span<float> to) const {
        part(tensor).read(tensor, first, to);
    }
    void read_bytes(stored const& tensor, index_t first, std::span<std::byte> to) const {
        part(tensor).read_bytes(tensor, first, to);
    }

private:
    std::string path_;
    std::vector<safetensors> parts_;
    std::vector<stored> tensors_;

    safetensors const& part(stored const& tensor) const {
        if (tensor.part < 0 || tensor.part >= std::ssize(parts_))
            throw error{path_ + ": tensor " + printable(tensor.name), "a tensor of this checkpoint",
                        "one of another source"};
        return parts_[static_cast<std::size_t>(tensor.part)];
    }
    void add(std::string path, access how, limits const& most) {
        parts_.emplace_back(std::move(path), how, most);
        for (stored tensor : parts_.back().tensors()) {
            tensor.part = std::ssize(parts_) - 1;
            tensors_.push_back(std::move(tensor));
        }
    }
    void add_shards(std::filesystem::path const& folder, std::string const& index, access how,
                    limits const& most) {
        file const list{index};
        if (list.size() > most.header_bytes)
            throw error{index, "at most " + std::to_string(most.header_bytes) + " bytes",
                        std::to_string(list.size())};
        std::string json(static_cast<std::size_t>(list.size()), ' ');
        list.read(0, std::as_writable_bytes(std::span(json)));
        detail::shard_index const read{json, index, most};

        std::vector<std::string> names;
        for (auto const& [tensor, name] : read.files()) names.push_back(name);
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        for (std::string const& name : names) add(inside(folder, name, index), how, most);

        std::stable_sort(tensors_.begin(), tensors_.end(),
                         [](stored const& a, stored const& b) { return a.name < b.name; });
        for (std::size_t i = 1; i < tensors_.size(); ++i)
            if (tensors_[i].name == tensors_[i - 1].name)
                throw error{path_ + ": tensor " + printable(tensors_[i].name), "one shard",
                            file_of(tensors_[i - 1]) + " and " + file_of(tensors_[i])};
        for (auto const& [tensor, name] : read.files()) {
            stored const* const found = find(tensor);
            if (found == nullptr || file_of(*found) != printable(name))
                throw error{path_ + ": tensor " + printable(tensor),
                            "in shard " + printable(name) + ", as the index says",
                            found == nullptr ? "in no shard" : "in shard " + file_of(*found)};
        }
    }
    std::string file_of(stored const& tensor) const {
        return printable(std::filesystem::path(part(tensor).where()).filename().string());
    }
    /// The path of a shard, once it is known to lie in the folder.
    static std::string inside(std::filesystem::path const& folder, std::string const& name,
                              std::string const& index) {
        namespace fs = std::filesystem;
        if (name.empty() || name == "." || name == ".." ||
            name.find_first_of(std::string_view{"/\\\0", 3}) != name.npos)
            throw error{index, "the names of files in its folder", printable(name)};
        std::error_code failed;
        fs::path const home = fs::canonical(folder, failed);
        fs::path const real = failed ? fs::path{} : fs::canonical(home / name, failed);
        if (failed) throw error{index, "a shard " + printable(name), failed.message()};
        fs::path const blobs = home.parent_path().parent_path() / "blobs";
        if (real.parent_path() != home && real.parent_path() != blobs)
            throw error{index, "shards in its folder",
                        printable(name) + " leads to " + real.string()};
        return (folder / name).string();
    }
};

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
