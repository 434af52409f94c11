"""How a room is reached: the Model Context Protocol over stdio and HTTP."""
