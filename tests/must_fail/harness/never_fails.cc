// expect: a sentence
int always_right = 0;
