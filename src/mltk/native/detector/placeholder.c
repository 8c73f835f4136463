int mltk_detector_placeholder(void);
int mltk_detector_placeholder(void) { return 0; }
