import 'gyre';
import '../resident.ts';
