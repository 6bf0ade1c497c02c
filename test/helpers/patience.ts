/** Longer than any event takes on any machine, however loaded, and shorter than the limit of a test. */
export const PATIENCE_SECONDS = 60;
