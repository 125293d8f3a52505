// SPDX-License-Identifier: MIT
// The least consumer of the library.
#include <prytany/prytany.hpp>

int main() {
    using namespace prytany;
    moe<shape{.model = 8, .hidden = 8, .experts = 4}, top_k{.k = 2}, ffn{swiglu}> layer{};
    return layer.slots() == 2 ? 0 : 1;
}
