/** Echo by Bun's sockets. */
import { echo } from './echo-handler.ts';
import { serve } from './serve.ts';

serve(echo);
