/** A module that never ends to load. */
for (;;);
