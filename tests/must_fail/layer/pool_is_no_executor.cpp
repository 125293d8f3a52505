// expect: an executor needs width(): how many items it may run at the same time
#include <prytany/prytany.hpp>

using namespace prytany;

int main() {
    moe<shape{8, 4, 6}, top_k{.k = 2}, ffn{swiglu}> const layer;
    workspace ws;
#if defined(PRYTANY_MUST_FAIL)
    int pool = 4;
#else
    sequential pool;
#endif
    layer.forward(matrix_view<float const>{}, matrix_view<float>{}, ws, pool);
}
