/** Imports the modules that the command line names. */
for (const name of process.argv.slice(2)) await import(`node:${name}`);
await import('../resident.ts');
