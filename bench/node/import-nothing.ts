import '../resident.ts';
