"""The local servers: started, awaited and stopped as private processes, or left alone when the shop brings its own."""
