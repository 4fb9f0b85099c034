reset role;
reset check_function_bodies;
