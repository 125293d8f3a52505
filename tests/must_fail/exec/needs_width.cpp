// expect: an executor needs width(): how many items it may run at the same time
#include <prytany/exec/concept.hpp>

using namespace prytany;

struct in_turn {
#if !defined(PRYTANY_MUST_FAIL)
    index_t width() const { return 1; }
#endif
    template <class F>
    void for_each(index_t count, F&& f) {
        for (index_t i = 0; i < count; ++i) f(i, index_t{0});
    }
};

static_assert(executor<in_turn>);
