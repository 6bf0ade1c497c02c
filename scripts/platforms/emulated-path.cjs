// The system cannot start the program of another processor, and a program starts more of its kind by this path.
process.execPath = process.env.GYRE_EMULATED ?? process.execPath;
