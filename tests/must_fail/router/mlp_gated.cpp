// expect: mlp: an activation of one number; a gated one takes two
#include <prytany/prytany.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
mlp const scores{swiglu};
#else
mlp const scores{gelu};
#endif

int main() {}
