/**
 * The program of a worker as one script. A program that bundles gyre has no file for it. `npm run build` puts
 * the script here.
 */
export const workerProgram: string = '';
