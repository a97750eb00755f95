throw new Error("this module cannot start");
