// SPDX-License-Identifier: MIT
// One layer of a trained model, and which experts it sends three letters to.
#include <cmath>
#include <cstdio>

#include <prytany/eigen.hpp>
#include <prytany/io/load.hpp>
#include <prytany/io/safetensors.hpp>
#include <prytany/prytany.hpp>

using namespace prytany;

int main() {
    moe<shape{.model = 128, .hidden = 64, .experts = 16, .shared = 1, .shared_hidden = 128},
        top_k{.k = 4}, ffn{swiglu}, dense<bf16>{}, shared_gate{}>
        layer;
    io::safetensors const file{PRYTANY_EXAMPLE_DATA "/bytes-moe-3m/model.safetensors"};
    io::load(layer, file, io::qwen_moe("model.layers.3.mlp.")); // whose names, where

    Eigen::Matrix<float, 3, 128, Eigen::RowMajor> x, y; // the tokens x, y, z: normalised embeddings
    file.read(*file.find("model.embed_tokens.weight"), 'x' * 128, {x.data(), 3 * 128});
    x = x.rowwise().normalized() * std::sqrt(128.0f);

    workspace ws; // all mutable state of a call
    layer.forward(x, y, ws, thread_pool{2});
    for (char token : {'x', 'y', 'z'})
        for (slot s : ws.plan().slots_of(token - 'x'))
            std::printf("%c  expert %2d  weight %.3f\n", token, s.expert, s.weight);
}
