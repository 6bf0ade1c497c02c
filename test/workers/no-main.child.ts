/** A module that exports no main(). */
export const other: number = 1;
