// expect: a sentence that no compiler prints
#ifdef PRYTANY_MUST_FAIL
static_assert(sizeof(int) == 0, "another sentence");
#endif
