// expect: a router needs slots(shape, params): the most slots one token may get
#include <prytany/router/noisy.hpp>
#include <prytany/router/score/linear.hpp>
#include <prytany/router/top_k.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
using inner = linear;
#else
using inner = top_k;
#endif

noisy<inner> const router{};

int main() {}
