int mltk_frontend_placeholder(void);
int mltk_frontend_placeholder(void) { return 0; }
