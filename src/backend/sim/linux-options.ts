/** Socket options by the numbers of Linux, for those that gyre does not export. */
export const SO_TYPE = 3;
export const SO_ACCEPTCONN = 30;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
